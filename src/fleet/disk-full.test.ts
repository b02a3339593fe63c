import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'

const HOUR = 60 * 60 * 1000

let house: FleetHouse
let logged: ReturnType<typeof vi.spyOn>
beforeEach(async () => {
  house = await openFleetHouse()
  logged = vi.spyOn(console, 'error').mockImplementation(() => undefined)
})
afterEach(async () => {
  await house.end()
  logged.mockRestore()
})

/** Every update of a table fails, until the returned function is called. */
function refuseUpdates(table: string): () => void {
  const { $client } = house.db
  $client.exec(`create trigger full before update on ${table} begin select raise(abort, 'disk full'); end`)
  return () => void $client.exec('drop trigger full')
}

describe('while nothing can be written', () => {
  test('a change waits, and goes on by itself once there is room', async () => {
    const server = await house.join('de')
    const mend = refuseUpdates('server_tasks')
    const { id } = await house.fleet.tasks.run({
      operation: 'clients.add',
      targets: [{ serverId: server.id, input: { id: 'main', clients: [house.fleet.newClient('bob')] } }],
      actor: alice,
    })
    await vi.waitFor(() => expect(logged).toHaveBeenCalled(), { timeout: 20_000 })
    expect(house.nodeOf(server).clients.size).toBe(0)
    mend()
    await house.runtime.advance(2 * 60_000)
    await vi.waitFor(
      () => expect(house.fleet.tasks.batch(id).map((task) => task.status)).toEqual(['applied']),
      { timeout: 20_000 },
    )
    expect(house.nodeOf(server).clients.size).toBe(1)
  })

  test('sightings are kept, and written once there is room', async () => {
    const server = await house.join('de')
    const lastSeen = house.runtime.now() + 5_000
    house.fleet.servers.report(server.id, { lastSeen })
    const written = () =>
      house.db.$client.prepare('select last_seen from servers where id = ?').pluck().get(server.id)
    const mend = refuseUpdates('servers')
    await house.runtime.advance(HOUR + 1)
    expect(logged).toHaveBeenCalled()
    mend()
    expect(written()).not.toBe(lastSeen)
    await house.runtime.advance(HOUR + 1)
    expect(written()).toBe(lastSeen)
  })

  test('the fleet can be stopped, and lets go of its connections', async () => {
    const server = await house.join('de')
    house.fleet.servers.report(server.id, { lastSeen: house.runtime.now() + 5_000 })
    const mend = refuseUpdates('servers')
    await house.fleet.stop()
    expect(house.closed).toContain(server.id)
    mend()
  })
})
