import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse
const system = { kind: 'system', id: 'test' } as const

beforeEach(async () => {
  house = await openBotHouse()
  house.fleet.servers.setEnabled(1, false, system)
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

/** A client on these servers, as it was added some time ago. */
async function isOn(email: string, servers: Server[]): Promise<void> {
  const input = { id: 'main', clients: [house.fleet.newClient(email)] }
  const targets = servers.map(({ id }) => ({ serverId: id, input }))
  const { settled } = await house.fleet.tasks.run({ operation: 'clients.add', targets, actor: system })
  await settled
}

describe('a server that is disabled', () => {
  test('is told of a deletion later, and the chat does not say that it is done before', async () => {
    const { alice } = house
    const [de, nl] = [await house.join('de-1', 'main'), await house.join('nl-1', 'main')]
    await isOn('anna', [de, nl])
    house.fleet.servers.setEnabled(nl.id, false, system)
    await alice.sends('/find anna')
    await alice.seesScreen('Clients › anna')
    await alice.taps('Delete')
    const question = await alice.seesScreen('Delete anna everywhere?')
    expect(question.text).toMatch(/⏳ nl-1 is disabled: there it happens once it is enabled again\.$/)
    await alice.taps('Delete')
    const result = await alice.seesScreen('waiting: 1')
    expect(result.text).toContain('Deleting anna')
    expect(result.text).toContain('✅ de-1')
    expect(result.text).toContain('⏳ nl-1: will follow when it is enabled again')
    expect(result.text).not.toContain('anna is deleted')

    house.fleet.servers.setEnabled(nl.id, true, system)
    await alice.seesScreen('Done on 2 of 2')
    expect(house.nodeOf(nl).clients.size).toBe(0)
  })

  test('is not restarted, which the chat says, and offers to try again', async () => {
    const { alice } = house
    const de = await house.join('de-1', 'main')
    house.fleet.servers.setEnabled(de.id, false, system)
    await alice.sends(`/start srv_${de.id}`)
    await alice.seesScreen('Disabled in fleetgram')
    await alice.taps('Restart Xray')
    await alice.seesScreen(/Restart Xray on de-1\?[^]*Away or disabled now, so left as it is: de-1/)
    await alice.taps('Restart Xray')
    const result = await alice.seesScreen('Restarting Xray did not work')
    expect(result.text).toContain('❌ de-1: This server is disabled in fleetgram.')
    expect(result.buttons.flat()).toContain('Retry failed')
  })
})

test('what was left behind unfinished becomes its result, with its buttons, and what is shown since stays', async () => {
  const { alice } = house
  const de = await house.join('de-1', 'main')
  await house.join('nl-1', 'main')
  const release = house.nodeOf(de).hold()
  await alice.sends('/add')
  await alice.seesScreen('What is the client called?')
  await alice.sends('anna')
  await alice.seesScreen('On which servers?')
  await alice.taps('All servers')
  await alice.seesScreen('Name: anna')
  await alice.taps('Create')
  const working = await alice.seesScreen('Working… 1/2')
  await alice.sends('/add')
  await alice.seesScreen('What is the client called?')
  release()
  const result = await alice.sees('anna is added')
  expect(result.messageId).toBe(working.messageId)
  expect(result.text).toMatch(/vless:[^]*vless:/)
  expect(result.buttons.flat()).toContain('Open client')
  expect(alice.screen().text).toContain('What is the client called?')

  // Followed by another change: each has its own last word.
  const again = house.nodeOf(de).hold()
  for (const name of ['bob', 'carl']) {
    if (name === 'carl') await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await alice.sends(name)
    await alice.seesScreen('On which servers?')
    await alice.taps('All servers')
    await alice.seesScreen(`Name: ${name}`)
    await alice.taps('Create')
    await alice.seesScreen(`Adding ${name}`)
  }
  again()
  await alice.seesScreen('carl is added')
  await alice.sees('bob is added')
})

test('a screen that came in the place of an unfinished change is not drawn over', async () => {
  const { alice } = house
  const de = await house.join('de-1', 'main')
  const release = house.nodeOf(de).hold()
  await alice.sends(`/start srv_${de.id}`)
  await alice.seesScreen(/^Fleet › de-1/)
  await alice.taps('Restart Xray')
  await alice.seesScreen('Restart Xray on de-1?')
  await alice.taps('Restart Xray')
  await alice.seesScreen('Working…')
  await alice.taps('Back')
  await alice.seesScreen(/^Fleet › de-1\n/)
  release()
  await alice.until(() => (house.fleet.tasks.open(de.id).length === 0 ? true : undefined))
  await house.bot.stop()
  expect(alice.screen().text).toMatch(/^Fleet › de-1\n/)
})

test('what was refused everywhere leads to the form again, for the same again is refused again', async () => {
  const { alice } = house
  const de = await house.join('de-1')
  house.nodeOf(de).failNext('PORT_TAKEN', 1, { port: 8388, by: 'nginx' })
  await alice.sends(`/start srv_${de.id}`)
  await alice.seesScreen(/^Fleet › de-1\n/)
  await alice.taps('Add inbound')
  await alice.seesScreen('How shall clients connect?')
  await alice.taps('Shadowsocks 2022')
  await alice.seesScreen('On which port?')
  await alice.sends('8388')
  await alice.seesScreen('What is the inbound called?')
  await alice.taps('ss-8388')
  await alice.seesScreen('Name: ss-8388')
  await alice.taps('Create')
  const result = await alice.seesScreen('❌ de-1: Port 8388 is used by nginx. Choose a free port.')
  expect(result.buttons).toEqual([['Retry failed'], ['Add inbound'], ['‹ Home']])
  await alice.taps('Add inbound')
  await alice.seesScreen(/^Fleet › de-1 › Add inbound\n/)
})
