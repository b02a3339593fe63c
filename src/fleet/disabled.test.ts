import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import type { Server, TaskView } from './types.ts'

const DAYS = 24 * 60 * 60 * 1000

let house: FleetHouse
beforeEach(async () => {
  house = await openFleetHouse()
})
afterEach(() => house.end())

const statuses = (tasks: TaskView[]): string[] => tasks.map((task) => task.status)
const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 20_000 })
const emailsOn = (server: Server): string[] =>
  [...house.nodeOf(server).clients.values()].map(({ email }) => email)

const addClient = (email: string, servers: Server[]) => {
  const client = house.fleet.newClient(email)
  const input = { id: 'main', clients: [client] }
  const targets = servers.map(({ id }) => ({ serverId: id, input }))
  return house.fleet.tasks.run({ operation: 'clients.add', targets, actor: alice })
}
const deleteClient = (email: string, servers: Server[]) => {
  const targets = servers.map(({ id }) => ({ serverId: id, input: { email } }))
  return house.fleet.tasks.run({ operation: 'clients.delete', targets, actor: alice })
}
const enable = (server: Server, enabled: boolean): unknown =>
  house.fleet.servers.setEnabled(server.id, enabled, alice)

test('who is deleted while a server is disabled is gone there once it is enabled again', async () => {
  const [de, fi] = [await house.join('de'), await house.join('fi')]
  await (
    await addClient('anna', [de, fi])
  ).settled
  enable(fi, false)
  const asked = house.nodeOf(fi).calls.length
  const { id, settled } = await deleteClient('anna', [de, fi])
  expect(statuses(await settled)).toEqual(['applied', 'pending'])
  expect(emailsOn(fi)).toEqual(['anna'])
  expect(house.nodeOf(fi).calls).toHaveLength(asked)

  await house.restart('kill')
  enable(fi, true)
  await eventually(() => expect(statuses(house.fleet.tasks.batch(id))).toEqual(['applied', 'applied']))
  expect(emailsOn(fi)).toEqual([])
})

test('what is for the moment only fails there, and can be asked for again', async () => {
  const de = await house.join('de')
  enable(de, false)
  const restart = await house.fleet.tasks.run({
    operation: 'xray.restart',
    targets: [{ serverId: de.id, input: {} }],
    actor: alice,
  })
  expect(await restart.settled).toMatchObject([{ status: 'failed', error: { code: 'SERVER_DISABLED' } }])
  enable(de, true)
  const again = await house.fleet.tasks.retryFailed(restart.id, alice)
  expect(statuses(await again.settled)).toEqual(['applied'])
})

test('who is deleted is gone from a server too that was away for months', async () => {
  const de = await house.join('de')
  const added = await addClient('anna', [de])
  await added.settled
  const node = house.nodeOf(de)
  node.offline = true
  const deleted = await deleteClient('anna', [de])
  expect(statuses(await deleted.settled)).toEqual(['pending'])
  house.runtime.skip(90 * DAYS)
  house.fleet.tasks.kick(de.id)
  await house.restart('stop')
  expect(emailsOn(de)).toEqual(['anna'])
  node.offline = false
  house.fleet.tasks.kick(de.id)
  await eventually(() => expect(statuses(house.fleet.tasks.batch(deleted.id))).toEqual(['applied']))
  expect(emailsOn(de)).toEqual([])
})

test('the time in which a server is disabled does not count against what waits for it', async () => {
  const [de, fi] = [await house.join('de'), await house.join('fi')]
  enable(de, false)
  const ofDisabled = await addClient('anna', [de])
  house.nodeOf(fi).offline = true
  const ofAway = await addClient('anna', [fi])
  await ofAway.settled
  house.runtime.skip(3 * DAYS)
  enable(fi, false)
  house.runtime.skip(30 * DAYS)
  for (const { id } of [de, fi]) house.fleet.tasks.kick(id)
  expect(statuses(house.fleet.tasks.open(de.id))).toEqual(['pending'])

  enable(de, true)
  await eventually(() => expect(statuses(house.fleet.tasks.batch(ofDisabled.id))).toEqual(['applied']))
  expect(emailsOn(de)).toEqual(['anna'])

  // Away for three days before: after four more the week is over.
  enable(fi, true)
  house.runtime.skip(3 * DAYS)
  house.fleet.tasks.kick(fi.id)
  await house.runtime.advance(0)
  expect(statuses(house.fleet.tasks.batch(ofAway.id))).toEqual(['pending'])
  house.runtime.skip(1 * DAYS)
  house.fleet.tasks.kick(fi.id)
  await eventually(() => expect(statuses(house.fleet.tasks.batch(ofAway.id))).toEqual(['expired']))
})
