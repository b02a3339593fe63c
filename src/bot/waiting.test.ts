import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { opensClient } from '#test/support/chat.ts'

let house: BotHouse
let [de, nl]: Server[] = []
const system = { kind: 'system', id: 'test' } as const

beforeEach(async () => {
  house = await openBotHouse()
  house.fleet.servers.setEnabled(1, false, system)
  de = await house.join('de-1', 'main')
  nl = await house.join('nl-1', 'main')
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

const serverOf = (server: Server | undefined): Server => server ?? house.fleet.servers.default()

async function add(email: string, servers: (Server | undefined)[]): Promise<void> {
  const input = { id: 'main', clients: [house.fleet.newClient(email)] }
  const targets = servers.map((server) => ({ serverId: serverOf(server).id, input }))
  await (
    await house.fleet.tasks.run({ operation: 'clients.add', targets, actor: system })
  ).settled
}
const goesAway = (server: Server | undefined): void =>
  house.fleet.servers.report(serverOf(server).id, { status: 'offline', lastError: 'no answer' })

describe('the question before a change', () => {
  const asksToDelete = async (): Promise<string> => {
    const { alice } = house
    await opensClient(alice, 'anna')
    await alice.taps('Delete')
    return (await alice.seesScreen('Delete anna everywhere?')).text
  }

  test('says on which servers it is not done at once, and when it is', async () => {
    await add('anna', [de, nl])
    expect(await asksToDelete()).toMatch(/stop working on 2 servers\. This cannot be undone\.$/)
    goesAway(nl)
    expect(await asksToDelete()).toMatch(/⏳ nl-1 is away: there it happens when it is back\.$/)
    goesAway(de)
    house.fleet.servers.setEnabled(serverOf(nl).id, false, system)
    expect(await asksToDelete()).toMatch(
      /⏳ de-1 is away: there it happens when it is back\.\n⏳ nl-1 is disabled: [^\n]*$/,
    )
  })
})

describe('what waits for a server that is away', () => {
  test('is found by its name, leads to what waits, and can be called off there', async () => {
    const { alice } = house
    goesAway(nl)
    await add('anna', [nl])
    await add('bob', [de, nl])
    await alice.sends('/find anna')
    const found = await alice.seesScreen('1 client with this in the name')
    expect(found.buttons.flat()).toContain('⏳ anna')
    await alice.taps('⏳ anna')
    const list = await alice.seesScreen('Fleet › nl-1 › Waiting')
    expect(list.text).toMatch(/Adding anna[^]*Adding bob/)
    await alice.taps('Call off: Adding anna')
    const question = await alice.seesScreen('Call this off: Adding anna?')
    expect(question.text).toContain('nl-1 is not told of it')
    await alice.taps('Call it off')
    const rest = await alice.seesScreen((screen) => !screen.text.includes('anna'))
    expect(rest.text).toContain('Adding bob')

    await alice.sends('/find anna')
    await alice.seesScreen('No client has this in the name')
    house.fleet.servers.report(serverOf(nl).id, { status: 'online' })
    await alice.until(() => (house.nodeOf(serverOf(nl)).clients.size === 1 ? true : undefined))
  })

  test('has a button on the screen of its server for as long as there is any', async () => {
    const { alice } = house
    const { id } = serverOf(nl)
    goesAway(nl)
    await add('anna', [nl])
    await alice.sends(`/start srv_${id}`)
    const screen = await alice.seesScreen('1 change waits for this server')
    await alice.taps('⏳ 1 change waits')
    await alice.seesScreen('Carried out in this order when the server can')
    await alice.taps('Call off: Adding anna')
    await alice.seesScreen('Call this off')
    // Meanwhile the server is back.
    house.fleet.servers.report(id, { status: 'online' })
    await alice.until(() => (house.fleet.tasks.open(id).length === 0 ? true : undefined))
    await alice.taps('Call it off')
    await alice.waitsForAnswer()
    expect(alice.toast()).toContain('Too late')
    await alice.seesScreen('Nothing waits for this server any more')
    await alice.taps('Back')
    const after = await alice.seesScreen('Online')
    expect(after.buttons).toHaveLength(screen.buttons.length - 1)
  })

  test('has no such button where the server may have done it already', async () => {
    const { alice } = house
    house.nodeOf(serverOf(nl)).loseAnswers = 1
    const input = { id: 'main', clients: [house.fleet.newClient('anna')] }
    const targets = [{ serverId: serverOf(nl).id, input }]
    const { settled } = await house.fleet.tasks.run({ operation: 'clients.add', targets, actor: system })
    await settled
    house.nodeOf(serverOf(nl)).offline = true
    await alice.sends(`/start srv_${serverOf(nl).id}`)
    await alice.seesScreen('1 change waits for this server')
    await alice.taps('⏳ 1 change waits')
    const list = await alice.seesScreen('It was sent already, so it cannot be called off')
    expect(list.buttons.flat().join()).not.toContain('Call off')
  })
})
