import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SeenMessage } from '#src/playground/view.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

/** The buttons that stand out. */
const standOut = ({ keyboard }: SeenMessage): string[] =>
  keyboard.flat().flatMap((button) => (button.style === 'primary' ? [button.text] : []))

const NOTHING = 'Clients have nothing to connect to yet: add an inbound first.'

test('where there is no inbound, that is what is suggested, and said; then a client', async () => {
  const { alice } = house
  const server = await house.join('de-1')
  await alice.sends('/start')
  const home = await alice.seesScreen('of 2 online')
  expect(standOut(home)).toEqual(['Add inbound'])
  expect(home.text).toContain(NOTHING)
  await alice.taps('Clients')
  const clients = await alice.seesScreen('No client yet.')
  expect(clients.text).toContain(NOTHING)
  expect(clients.buttons[0]).toEqual(['Add inbound'])
  await alice.sends(`/start srv_${server.id}`)
  const card = await alice.seesScreen(/^Fleet › de-1\n/)
  expect(standOut(card)).toEqual(['Add inbound'])
  expect(card.text).toContain(NOTHING)

  const other = await house.join('nl-1', 'main')
  await alice.sends('/start')
  const then = await alice.seesScreen('of 3 online')
  expect(standOut(then)).toEqual(['Add client'])
  expect(then.text).not.toContain(NOTHING)
  await alice.sends(`/start srv_${other.id}`)
  expect(standOut(await alice.seesScreen(/^Fleet › nl-1\n/))).toEqual(['Add client'])
})

test('on a server whose Xray is down, the restart stands out; on one that is away, nothing does', async () => {
  const { alice } = house
  const { id } = await house.join('de-1', 'main')
  house.fleet.servers.report(id, { status: 'error', lastError: 'it ended' })
  await alice.sends(`/start srv_${id}`)
  expect(standOut(await alice.seesScreen('Xray is not running'))).toEqual(['Restart Xray'])
  house.fleet.servers.report(id, { status: 'offline', lastError: 'no answer' })
  await alice.sends(`/start srv_${id}`)
  expect(standOut(await alice.seesScreen('🔴 Offline'))).toEqual([])
})

test('a server that has not joined has one thing to be done first', async () => {
  const { alice } = house
  const { id } = house.fleet.servers.create({ name: 'us-1' }, { kind: 'system', id: 'test' })
  await alice.sends(`/start srv_${id}`)
  const card = await alice.seesScreen(/^Fleet › us-1\n/)
  expect(standOut(card)).toEqual(['Join command'])
  expect(card.text).not.toContain(NOTHING)
  expect(card.text).toContain('Has not joined yet\n“Join command” gives the line')
  // Nor is there what only the server itself could answer or do.
  expect(card.buttons).toEqual([
    ['Join command'],
    ['Inbounds', 'Clients'],
    ['Add inbound', 'Add client'],
    ['Edit', 'Disable', 'Remove'],
    ['‹ Fleet', 'Refresh'],
  ])
  // The controller's own server has nothing to join.
  await alice.sends('/start srv_1')
  await alice.seesScreen('Not checked yet')
})
