import { eq } from 'drizzle-orm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tables } from '#src/store/drizzle.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
  // The rows of the controller's own server are written by a real node, which is not here: one with an agent instead.
  await house.join('vps')
  house.db().delete(tables.servers).where(eq(tables.servers.id, 1)).run()
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

test('with one server nothing on the way from an inbound to a link speaks of a fleet, or of which server', async () => {
  const { alice } = house
  await alice.sends('/start')
  const home = await alice.seesScreen(/^vps\n/)
  await alice.taps('Add inbound')
  await alice.seesScreen(/^vps › Add inbound\n/)
  await alice.taps('VLESS + REALITY')
  await alice.seesScreen('On which port?')
  await alice.taps('443')
  const name = await alice.seesScreen('What is the inbound called?')
  expect(name.text).not.toContain('all servers')
  await alice.taps('reality-443')
  await alice.seesScreen('Which site')
  await alice.taps('www.microsoft.com:443')
  await alice.seesScreen('Looks like')
  await alice.taps('Create')
  await alice.seesScreen(/^vps › Inbounds › reality-443\n[^]*is added[^]*Done\.$/)
  await alice.taps('Add client')
  await alice.seesScreen('What is the client called?')
  await alice.sends('anna')
  await alice.seesScreen('Name: anna')
  await alice.taps('Create')
  const result = await alice.seesScreen(/^Clients › anna\n[^]*\n\nreality-443\nvless:/)
  expect(result.buttons[0]).toEqual(['QR code'])
  await alice.taps('Open client')
  const card = await alice.seesScreen(/^Clients › anna\n\nTraffic[^]*🟢 reality-443\nvless:/)
  expect(card.text).not.toContain('On 1 server')
  expect(card.buttons[0]).toEqual(['QR code'])
  // Nor does what is only said.
  await alice.sends('hello')
  await alice.seesScreen(/^vps\n\nThank you/)
  await alice.taps('Help')
  await alice.seesScreen(/^Help\n/)
  expect(home.buttons.flat()).not.toContain('‹ Fleet')
})
