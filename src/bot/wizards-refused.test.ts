import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse
const actor = { kind: 'system' as const, id: 'test' }

beforeEach(async () => {
  house = await openBotHouse()
})
afterEach(() => house.end())

describe('a form that could change nothing', () => {
  test.each(['Add inbound', 'Add client'])(
    '%s on a disabled server: says so, and offers to enable it',
    async (form) => {
      const { alice } = house
      const server = await house.join('de-1', 'main')
      house.fleet.servers.setEnabled(server.id, false, actor)
      await alice.sends(`/start srv_${server.id}`)
      await alice.seesScreen('Disabled in fleetgram')
      await alice.taps(form)
      await alice.seesScreen('This server is disabled in fleetgram. Enable it first.')
      await alice.taps('Enable')
      await alice.seesScreen('Enable de-1?')
    },
  )

  test.each(['/inbound', '/add'])('%s where every server is disabled', async (command) => {
    const { alice } = house
    await house.join('de-1', 'main')
    for (const { id } of house.fleet.servers.list()) house.fleet.servers.setEnabled(id, false, actor)
    await alice.sends(command)
    await alice.seesScreen('Every server is disabled')
  })

  test('the only server is disabled', async () => {
    const { alice } = house
    house.fleet.servers.setEnabled(1, false, actor)
    await alice.sends('/inbound')
    await alice.seesScreen('This server is disabled in fleetgram.')
  })

  test('a server that is disabled while the form is open: nothing is run, and the form says why', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    await alice.sends(`/start srv_${server.id}`)
    await alice.seesScreen('Online')
    await alice.taps('Add inbound')
    await alice.seesScreen('How shall clients connect?')
    await alice.taps('Shadowsocks 2022')
    await alice.seesScreen('On which port?')
    await alice.sends('9090')
    await alice.seesScreen('What is the inbound called?')
    await alice.sends('ss')
    await alice.seesScreen('Name: ss')
    house.fleet.servers.setEnabled(server.id, false, actor)
    await alice.taps('Create')
    await alice.seesScreen('⚠️ This server is disabled in fleetgram.')
    expect(house.nodeOf(server).inbounds.size).toBe(1)
    house.fleet.servers.setEnabled(server.id, true, actor)
    await alice.taps('Create')
    await alice.seesScreen('Inbound ss is added')
  })

  test('a client where there is no inbound: Add inbound is one tap away', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    await alice.sends(`/start srv_${server.id}`)
    await alice.seesScreen('Online')
    await alice.taps('Add client')
    const note = await alice.seesScreen('There is no inbound here yet')
    expect(note.buttons).toEqual([['Add inbound'], ['‹ Back', '‹ Home', 'Help']])
    await alice.taps('Back')
    await alice.seesScreen(/^Fleet › de-1\n/)
    await alice.taps('Add client')
    await alice.seesScreen('There is no inbound here yet')
    await alice.taps('Add inbound')
    await alice.seesScreen(/^Fleet › de-1 › Add inbound/)
  })
})
