import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse
const actor = { kind: 'system' as const, id: 'test' }

beforeEach(async () => {
  house = await openBotHouse()
  house.fleet.servers.setEnabled(1, false, actor)
})
afterEach(() => house.end())

async function addInbounds(server: Server, count: number): Promise<void> {
  const stream = { transport: { type: 'raw' as const }, security: { type: 'none' as const } }
  const batches = await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const input = { tag: `door-${1_000 + i}`, protocol: 'vless' as const, port: 20_000 + i, stream }
      const targets = [{ serverId: server.id, input }]
      return house.fleet.tasks.run({ operation: 'inbounds.add', targets, actor })
    }),
  )
  await Promise.all(batches.map(({ settled }) => settled))
}

const seesButton = (label: string): Promise<unknown> =>
  house.alice.seesScreen((screen) => screen.buttons.flat().includes(label))

async function toInbounds(server: string): Promise<void> {
  const { alice } = house
  await alice.sends('/add')
  await alice.seesScreen('What is the client called?')
  await alice.sends('anna')
  await alice.seesScreen('On which servers?')
  await alice.taps((button) => button.text.includes(server))
  await seesButton('Continue (1)')
}

/** What stands on the buttons now. */
const labels = (): string[] => house.alice.screen().buttons.flat()

test('a client that is begun from an inbound goes into that one, without a question', async () => {
  const { alice } = house
  const server = await house.join('de-1')
  await addInbounds(server, 3)
  await alice.sends(`/start srv_${server.id}`)
  await alice.seesScreen(/^Fleet › de-1\n/)
  await alice.taps('Inbounds')
  await alice.seesScreen('3 inbounds')
  await alice.taps((button) => button.text.includes('door-1001'))
  await alice.seesScreen('Clients: 0')
  await alice.taps('Add client')
  await alice.seesScreen('Step 1/2')
  await alice.sends('anna')
  await alice.seesScreen('Inbounds: door-1001\n')
  await alice.taps('Create')
  await alice.sees('anna is added')
  const of = house.fleet.view.person('anna')?.placements[0]?.client.inbounds ?? []
  expect(of.map((id) => house.fleet.view.inbound(server.id, id)?.tag)).toEqual(['door-1001'])
})

describe('a client of a server with more inbounds than a message has buttons', () => {
  test('picks them page by page, or by a part of a name', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    await house.join('nl-1', 'main')
    await addInbounds(server, 120)
    await toInbounds('de-1')
    await alice.taps('Continue (1)')
    await alice.seesScreen('Through which inbounds?')
    expect(labels()).toContain('1/15')
    await alice.taps('☐ door-1000 · 20000')
    await seesButton('☑ door-1000 · 20000')
    await alice.taps('▶')
    await seesButton('2/15')
    await alice.sends('nowhere')
    await alice.seesScreen('No inbound has “nowhere” in its name.')
    await alice.sends('OOR-1119')
    await alice.seesScreen('With “OOR-1119” in the name:')
    expect(labels()).toContain('☐ door-1119 · 20119')
    expect(labels()).not.toContain('☑ door-1000 · 20000')
    await alice.taps('☐ door-1119 · 20119')
    await seesButton('Continue (2)')
    await alice.taps('Continue (2)')
    const summary = await alice.seesScreen('Name: anna')
    expect(summary.text).toContain('Inbounds: door-1000, door-1119')
    await alice.taps('Create')
    await alice.seesScreen('anna is added')
    expect([...house.nodeOf(server).clients.values()][0]?.inbounds).toHaveLength(2)
  })

  test('or takes all of them', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    await house.join('nl-1', 'main')
    await addInbounds(server, 99)
    await toInbounds('de-1')
    await alice.taps('Continue (1)')
    await alice.seesScreen('Through which inbounds?')
    await alice.taps('All inbounds')
    const summary = await alice.seesScreen('Name: anna')
    expect(summary.text).toContain('door-1000, door-1001, door-1002, door-1003, door-1004 +94')
    await alice.taps('Create')
    await alice.seesScreen('anna is added')
    expect([...house.nodeOf(server).clients.values()][0]?.inbounds).toHaveLength(99)
  })
})

test('what is ticked, but is not on the servers chosen after, counts no more', async () => {
  const { alice } = house
  const [first, second] = [await house.join('de-1', 'main'), await house.join('nl-1', 'other')]
  await addInbounds(first, 2)
  await addInbounds(second, 2)
  await toInbounds('de-1')
  await alice.taps('Continue (1)')
  await alice.seesScreen('Through which inbounds?')
  await alice.taps('☐ main · 8080')
  await seesButton('Continue (1)')
  await alice.taps('Back')
  await alice.seesScreen('On which servers?')
  await alice.taps((button) => button.text.includes('nl-1'))
  await seesButton('Continue (2)')
  await alice.taps((button) => button.text.includes('de-1'))
  await seesButton('Continue (1)')
  await alice.taps('Continue (1)')
  await alice.seesScreen('Through which inbounds?')
  expect(labels()).toContain('☐ other · 8080')
  expect(labels().some((label) => label.startsWith('Continue'))).toBe(false)
})

test('an inbound whose port or name is taken on some of the servers: they are named before it is made', async () => {
  const { alice } = house
  for (const name of ['de-1', 'nl-1', 'us-1']) await house.join(name, name === 'us-1' ? 'other' : 'ss-9090')
  await alice.sends('/inbound')
  await alice.seesScreen('How shall clients connect?')
  await alice.taps('Shadowsocks 2022')
  await alice.seesScreen('On which port?')
  await alice.sends('9090')
  await alice.seesScreen('What is the inbound called?')
  await alice.taps('ss-9090')
  await alice.seesScreen('On which servers?')
  await alice.taps('All servers')
  await alice.seesScreen('⚠️ Here the port or the name is taken already, so it will fail: de-1, nl-1.')
})
