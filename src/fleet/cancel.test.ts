import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import type { Server } from './types.ts'

let house: FleetHouse
let de: Server
beforeEach(async () => {
  house = await openFleetHouse()
  de = await house.join('de')
})
afterEach(() => house.end())

const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 20_000 })
const addClient = (email: string) =>
  house.fleet.tasks.run({
    operation: 'clients.add',
    targets: [{ serverId: de.id, input: { id: 'main', clients: [house.fleet.newClient(email)] } }],
    actor: alice,
  })
/** Adds a client; comes back when that is done or waits. */
async function waiting(email: string): Promise<{ batch: string; task: string }> {
  const { id, settled } = await addClient(email)
  return { batch: id, task: (await settled)[0]?.id ?? '' }
}
const cancel = (task: string): boolean => house.fleet.tasks.cancel(task, alice)
const status = (batch: string) => house.fleet.tasks.batch(batch)[0]?.status

describe('a change that waits', () => {
  test('can be called off: it is not sent, its secrets are forgotten, and who did it is on record', async () => {
    house.fleet.servers.report(de.id, { status: 'offline' })
    const [anna, bob] = [await waiting('anna'), await waiting('bob')]
    expect(house.fleet.tasks.open(de.id).map(({ begun }) => begun)).toEqual([false, false])
    const told: unknown[] = []
    house.fleet.tasks.watch(anna.batch, (tasks) => told.push(tasks[0]?.status))
    expect(cancel(anna.task)).toBe(true)
    expect(told).toEqual(['cancelled'])
    expect(cancel(anna.task)).toBe(false)
    expect(house.fleet.view.person('anna')).toBeUndefined()
    const rows = house.db.$client
      .prepare('select operation, input, actor, secrets from server_tasks order by seq')
      .all()
    expect(rows.at(-3)).toMatchObject({ operation: 'clients.add', secrets: null })
    expect(rows.at(-1)).toMatchObject({ operation: 'servers.cancel', actor: JSON.stringify(alice) })

    house.fleet.servers.report(de.id, { status: 'online' })
    await eventually(() => expect(status(bob.batch)).toBe('applied'))
    expect([...house.nodeOf(de).clients.values()].map(({ email }) => email)).toEqual(['bob'])
  })

  test('can be called off where its server was not reached, or refused it for the time being', async () => {
    const node = house.nodeOf(de)
    node.failNext('DISK_FULL')
    const anna = await waiting('anna')
    expect(house.fleet.tasks.open(de.id)).toMatchObject([{ attempts: 1, begun: false }])
    node.offline = true
    await house.runtime.advance(2_000)
    await eventually(() =>
      expect(house.fleet.tasks.open(de.id)).toMatchObject([{ attempts: 2, begun: false }]),
    )
    expect(cancel(anna.task)).toBe(true)
    expect(status(anna.batch)).toBe('cancelled')
  })

  test('cannot be while it may have been carried out, however often its server is away afterwards', async () => {
    const node = house.nodeOf(de)
    node.loseAnswers = 1
    const anna = await waiting('anna')
    expect(house.fleet.tasks.open(de.id)).toMatchObject([{ begun: true }])
    node.offline = true
    for (const ms of [2_000, 2_000, 5_000]) await house.runtime.advance(ms)
    await eventually(() => {
      expect(house.fleet.tasks.open(de.id)).toMatchObject([
        { begun: true, error: { code: 'SERVER_UNREACHABLE' } },
      ])
    })
    expect(cancel(anna.task)).toBe(false)
    node.offline = false
    house.fleet.tasks.kick(de.id)
    await eventually(() => expect(status(anna.batch)).toBe('applied'))
  })

  test('cannot be while it is on its way, nor after a kill in the middle of that', async () => {
    const node = house.nodeOf(de)
    node.failNext('DISK_FULL')
    const anna = await waiting('anna')
    const release = node.hold()
    house.fleet.tasks.kick(de.id)
    await eventually(() => expect(status(anna.batch)).toBe('running'))
    expect(cancel(anna.task)).toBe(false)
    house.fleet.servers.report(de.id, { status: 'offline' })
    node.offline = true
    await house.restart('kill')
    expect(house.fleet.tasks.open(de.id)).toMatchObject([{ begun: true }])
    expect(cancel(anna.task)).toBe(false)
    release()
  })
})
