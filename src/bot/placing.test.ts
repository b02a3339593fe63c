import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { opensClient } from '#test/support/chat.ts'

const DAY = 24 * 60 * 60 * 1000
const actor = { kind: 'system' as const, id: 'test' }

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
  house.fleet.servers.setEnabled(1, false, actor)
})
afterEach(() => house.end())

async function addAnna(server: Server, limits: object = {}): Promise<void> {
  const anna = { ...house.fleet.newClient('anna'), ...limits }
  const targets = [{ serverId: server.id, input: { id: 'main', clients: [anna] } }]
  const batch = await house.fleet.tasks.run({ operation: 'clients.add', targets, actor })
  await batch.settled
}

const rowsOn = (server: Server) => [...house.nodeOf(server).clients.values()]

test('a client is put on a server that came later: the same one, with its limits', async () => {
  const { alice } = house
  const first = await house.join('de-1', 'main')
  const expiresAt = Date.now() + 20 * DAY
  await addAnna(first, { limitBytes: 5e9, ipLimit: 2, resetDays: 30, expiresAt, comment: 'pays monthly' })
  const [second, third] = [await house.join('nl-1', 'main'), await house.join('fr-1', 'main')]
  await opensClient(alice, 'anna')
  await alice.taps('Add to servers')
  const which = await alice.seesScreen('On which servers?')
  expect(which.buttons.flat()).not.toContain('☐ 🟢 de-1')
  await alice.taps('All servers')
  const summary = await alice.seesScreen('with the same limits')
  expect(summary.text).toContain('Servers: nl-1, fr-1')
  await alice.taps('Add')
  await alice.seesScreen('anna is added')
  const [was] = rowsOn(first)
  for (const server of [second, third]) {
    const { uuid, password, subscriptionId, limitBytes, ipLimit, resetDays, comment } = was ?? {}
    expect(rowsOn(server)).toMatchObject([
      { uuid, password, subscriptionId, limitBytes, ipLimit, resetDays, expiresAt, comment },
    ])
  }
  await opensClient(alice, 'anna')
  await alice.taps('Add to servers')
  const note = await alice.seesScreen('anna stands in every inbound there is')
  expect(note.buttons).toEqual([
    ['Add inbound', 'Add server'],
    ['‹ Back', '‹ Home', 'Help'],
  ])
  await alice.taps('Back')
  await alice.seesScreen(/^Fleet › Clients › anna\n/)
})

/** Puts Anna on every other server, and gives her row on one of them. */
async function addsToAll(server: Server) {
  const { alice } = house
  await opensClient(alice, 'anna')
  await alice.taps('Add to servers')
  await alice.seesScreen('On which servers?')
  await alice.taps('All servers')
  await alice.seesScreen('with the same limits')
  await alice.taps('Add')
  await alice.seesScreen('anna is added')
  return rowsOn(server)[0]
}

test('days from the first use that have not begun begin anew there', async () => {
  const first = await house.join('de-1', 'main')
  await addAnna(first, { lastsDays: 30 })
  expect(await addsToAll(await house.join('nl-1', 'main'))).toMatchObject({ lastsDays: 30, expiresAt: null })
})

test('days that have begun end there when they end here', async () => {
  const first = await house.join('de-1', 'main')
  await addAnna(first, { lastsDays: 30 })
  const end = Date.now() + 3 * DAY
  Object.assign(rowsOn(first)[0] ?? {}, { startedAt: end - 30 * DAY, expiresAt: end })
  const targets = [{ serverId: first.id, input: { email: 'anna', comment: 'seen' } }]
  const { settled } = await house.fleet.tasks.run({ operation: 'clients.update', targets, actor })
  await settled
  expect(house.fleet.view.person('anna')?.placements[0]?.client.expiresAt).toBe(end)
  expect(await addsToAll(await house.join('nl-1', 'main'))).toMatchObject({ lastsDays: null, expiresAt: end })
})

test('and into another inbound of its own server', async () => {
  const { alice } = house
  const server = await house.join('de-1', 'main')
  await addAnna(server)
  const stream = { transport: { type: 'raw' as const }, security: { type: 'none' as const } }
  const input = { tag: 'second', protocol: 'vless' as const, port: 9_090, stream }
  const targets = [{ serverId: server.id, input }]
  await (
    await house.fleet.tasks.run({ operation: 'inbounds.add', targets, actor })
  ).settled
  await opensClient(alice, 'anna')
  await alice.taps('Add to servers')
  await alice.seesScreen('On which servers?')
  await alice.taps('All servers')
  const summary = await alice.seesScreen('with the same limits')
  expect(summary.text).toContain('Inbounds: second')
  await alice.taps('Add')
  await alice.seesScreen('anna is added')
  expect(rowsOn(server)[0]?.inbounds).toHaveLength(2)
})

test('a client is removed from one server, after a question, and stays on the other', async () => {
  const { alice } = house
  const [first, second] = [await house.join('de-1', 'main'), await house.join('nl-1', 'main')]
  await addAnna(first)
  await opensClient(alice, 'anna')
  expect(alice.screen().buttons.flat()).not.toContain('Remove from…')
  await alice.taps('Add to servers')
  await alice.seesScreen('On which servers?')
  await alice.taps('All servers')
  await alice.seesScreen('with the same limits')
  await alice.taps('Add')
  await alice.seesScreen('anna is added')
  await opensClient(alice, 'anna')
  await alice.taps('Remove from…')
  await alice.seesScreen('From which server shall anna be removed?')
  await alice.taps('🟢 de-1')
  await alice.seesScreen('Remove anna from de-1?')
  await alice.taps('Remove')
  const result = await alice.seesScreen('anna is removed from a server')
  expect(result.text).toContain('✅ de-1')
  expect(rowsOn(first)).toHaveLength(0)
  expect(rowsOn(second)).toHaveLength(1)
  await alice.taps('Open client')
  await alice.seesScreen('On 1 server')
})
