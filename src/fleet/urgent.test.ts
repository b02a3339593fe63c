import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import type { Server, TaskView } from './types.ts'

let house: FleetHouse
let de: Server
beforeEach(async () => {
  house = await openFleetHouse()
  de = await house.join('de')
})
afterEach(() => house.end())

const statuses = (tasks: TaskView[]): string[] => tasks.map((task) => task.status)
const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 20_000 })

const addClient = (email: string) =>
  house.fleet.tasks.run({
    operation: 'clients.add',
    targets: [{ serverId: de.id, input: { id: 'main', clients: [house.fleet.newClient(email)] } }],
    actor: alice,
  })
const restartXray = () =>
  house.fleet.tasks.run({
    operation: 'xray.restart',
    targets: [{ serverId: de.id, input: {} }],
    actor: alice,
  })

describe('what is for this moment', () => {
  test.each(['XRAY_UNAVAILABLE', 'DISK_FULL', 'CHANGE_UNSETTLED'] as const)(
    'is sent to a server that is there, also while others wait there for %s',
    async (code) => {
      house.nodeOf(de).failNext(code, 1, { reason: 'its API hangs' })
      const [first, second] = [await addClient('a'), await addClient('b')]
      expect(statuses(await first.settled)).toEqual(['pending'])
      expect(statuses(await second.settled)).toEqual(['pending'])

      const restart = await restartXray()
      expect(statuses(await restart.settled)).toEqual(['applied'])
      // It has answered, so what waited follows at once, in its order.
      await eventually(() => expect(house.fleet.tasks.open(de.id)).toEqual([]))
      const done = house.nodeOf(de).applied.map(({ operation }) => operation)
      expect(done).toEqual(['inbounds.add', 'xray.restart', 'clients.add', 'clients.add'])
      expect([...house.nodeOf(de).clients.values()].map(({ email }) => email)).toEqual(['a', 'b'])
    },
  )

  test('is asked for again in its own time where its answer was lost, while others wait', async () => {
    const node = house.nodeOf(de)
    node.failNext('DISK_FULL', 1)
    await (
      await addClient('a')
    ).settled
    node.loseAnswers = 1
    const restart = await restartXray()
    expect(statuses(await restart.settled)).toEqual(['pending'])
    await house.runtime.advance(2_000)
    await eventually(() => expect(statuses(house.fleet.tasks.batch(restart.id))).toEqual(['applied']))
    expect(node.applied.filter(({ operation }) => operation === 'xray.restart')).toHaveLength(1)
    await eventually(() => expect(house.fleet.tasks.open(de.id)).toEqual([]))
  })

  test('and whose outcome stays unknown ends with its moment, not when those before it do', async () => {
    const node = house.nodeOf(de)
    node.failNext('DISK_FULL', 1_000)
    await (
      await addClient('a')
    ).settled
    node.failNext('CHANGE_UNSETTLED', 1_000)
    const restart = await restartXray()
    expect(statuses(await restart.settled)).toEqual(['pending'])
    await house.runtime.advance(240_000)
    expect(house.fleet.tasks.batch(restart.id)).toMatchObject([
      { status: 'failed', error: { code: 'OUTCOME_UNKNOWN' } },
    ])
    expect(statuses(house.fleet.tasks.open(de.id))).toEqual(['pending'])
  })
})
