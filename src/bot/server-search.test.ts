import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { serverLabel, serversNamed, troubleFirst } from './server-list.ts'

let house: BotHouse
const actor = { kind: 'system' as const, id: 'test' }

beforeEach(async () => {
  house = await openBotHouse()
})
afterEach(() => house.end())

test('the picker has servers with trouble first, with their flags, and finds one by a part of its name', async () => {
  const { alice } = house
  for (let i = 10; i < 30; i++) await house.join(`de-${i}`)
  const nl = await house.join('nl-1')
  house.fleet.servers.edit(nl.id, { region: '🇳🇱 Amsterdam' }, actor)
  house.fleet.servers.report(nl.id, { status: 'offline' })
  await alice.sends('/servers')
  const picker = await alice.seesScreen('Send a part of a name to search.')
  expect(picker.buttons[1]).toEqual(['🔴 🇳🇱 nl-1'])
  await alice.sends('E-1')
  const found = await alice.seesScreen('With “E-1” in the name:')
  expect(found.text).toContain('And 2 more')
  expect(found.buttons.flat()).toContain('🟢 de-10')
  await alice.sends('e-27')
  await alice.seesScreen(/› de-27\n/)
  await alice.sends('/server NL-1')
  await alice.seesScreen(/› nl-1\n/)
  await alice.sends('/server nowhere')
  await alice.seesScreen('No server has “nowhere” in its name.')
  await alice.taps('Show all')
  await alice.seesScreen('Which server?')
})

test('names and order', () => {
  const row = (name: string, change: Partial<Server> = {}) =>
    ({ name, status: 'online', enabled: true, region: '', ...change }) as Server
  const servers = [
    row('de-1'),
    row('de-11', { enabled: false }),
    row('de-12', { status: 'error' }),
    row('nl', { status: 'offline' }),
  ]
  expect(troubleFirst(servers).map(({ name }) => name)).toEqual(['nl', 'de-12', 'de-1', 'de-11'])
  // Who types a whole name means that one, also where others begin like it.
  expect(serversNamed(servers, ' DE-1 ').map(({ name }) => name)).toEqual(['de-1'])
  expect(serversNamed(servers, 'de').map(({ name }) => name)).toEqual(['de-12', 'de-1', 'de-11'])
  expect(serverLabel(row('de-1', { region: 'Frankfurt 🇩🇪' }))).toBe('🟢 🇩🇪 de-1')
  expect(serverLabel(row('🇩🇪 one', { region: '🇩🇪' }))).toBe('🟢 🇩🇪 one')
  expect(serverLabel(row('de-1', { region: 'Frankfurt' }))).toBe('🟢 de-1')
})
