import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import type { PeopleQuery, Server, TaskView } from './types.ts'

let house: FleetHouse
beforeEach(async () => {
  house = await openFleetHouse()
})
afterEach(() => house.end())

const statuses = (tasks: TaskView[]): string[] => tasks.map((task) => task.status)
const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 20_000 })

function addClient(email: string, servers: Server[]) {
  const client = house.fleet.newClient(email)
  return house.fleet.tasks.run({
    operation: 'clients.add',
    targets: servers.map((server) => ({ serverId: server.id, input: { id: 'main', clients: [client] } })),
    actor: alice,
  })
}

describe('a client that has yet to arrive somewhere', () => {
  test('is known to wait there, so that deleting it everywhere does not miss that server', async () => {
    const [de, fi] = [await house.join('de'), await house.join('fi')]
    house.nodeOf(fi).offline = true
    await (
      await addClient('bob', [de, fi])
    ).settled
    const person = house.fleet.view.person('BOB')
    expect(person?.placements.map(({ server }) => server.name)).toEqual(['de'])
    expect(person?.waiting.map((server) => server.name)).toEqual(['fi'])
    expect(house.fleet.view.people({ page: 0, size: 8 }).items[0]?.waiting).toHaveLength(1)

    const everywhere = [de, fi].map(({ id }) => ({ serverId: id, input: { email: 'bob' } }))
    const gone = await house.fleet.tasks.run({
      operation: 'clients.delete',
      targets: everywhere,
      actor: alice,
    })
    await gone.settled
    house.nodeOf(fi).offline = false
    house.fleet.tasks.kick(fi.id)
    await eventually(() => expect(statuses(house.fleet.tasks.batch(gone.id))).toEqual(['applied', 'applied']))
    expect(house.nodeOf(fi).clients.size).toBe(0)
    expect(house.fleet.view.person('bob')).toBeUndefined()
  })

  test('is in the list, in its place and counted, also where it stands nowhere yet', async () => {
    const [de, fi] = [await house.join('de'), await house.join('fi')]
    await (
      await addClient('anna', [de])
    ).settled
    await (
      await addClient('carl', [de])
    ).settled
    house.fleet.servers.report(fi.id, { status: 'offline' })
    await addClient('Bob', [fi])
    await addClient('anna', [fi])
    const list = (query: Partial<PeopleQuery> = {}) => {
      const { items, total } = house.fleet.view.people({ page: 0, size: 8, ...query })
      return [
        total,
        ...items.map(({ email, placements, waiting }) => [email, placements.length, waiting.length]),
      ]
    }
    expect(list()).toEqual([3, ['anna', 1, 1], ['Bob', 0, 1], ['carl', 1, 0]])
    expect(list({ search: 'BO' })).toEqual([1, ['Bob', 0, 1]])
    expect(list({ page: 1, size: 2 })).toEqual([3, ['carl', 1, 0]])
    expect(list({ filter: 'disabled' })).toEqual([0])
  })

  test('waits no more once its row is there', async () => {
    const de = await house.join('de')
    await (
      await addClient('bob', [de])
    ).settled
    expect(house.fleet.view.person('bob')).toMatchObject({ waiting: [], placements: [{}] })
  })
})
