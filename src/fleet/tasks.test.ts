import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FleetError } from '#src/errors.ts'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import type { Server, TaskView } from './types.ts'

let house: FleetHouse
beforeEach(async () => {
  house = await openFleetHouse()
})
afterEach(() => house.end())

const statuses = (tasks: TaskView[]): string[] => tasks.map((task) => task.status)
const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 20_000 })

/** Adds one new client to `main` on these servers. */
function addClient(email: string, servers: Server[], id?: string) {
  const client = house.fleet.newClient(email)
  return house.fleet.tasks.run({
    operation: 'clients.add',
    targets: servers.map((server) => ({ serverId: server.id, input: { id: 'main', clients: [client] } })),
    actor: alice,
    ...(id === undefined ? {} : { id }),
  })
}

const restartXray = (servers: Server[]) =>
  house.fleet.tasks.run({
    operation: 'xray.restart',
    targets: servers.map(({ id }) => ({ serverId: id, input: {} })),
    actor: alice,
  })

describe('a change on several servers', () => {
  test('reaches each, and the mirror shows it before anybody is told', async () => {
    const servers = [await house.join('de'), await house.join('fi')]
    const shown: number[] = []
    const { id, settled } = await addClient('bob', servers)
    house.fleet.tasks.watch(id, (tasks) => {
      if (tasks.every((task) => task.status === 'applied'))
        shown.push(house.fleet.view.person('bob')?.placements.length ?? 0)
    })
    expect(statuses(await settled)).toEqual(['applied', 'applied'])
    expect(shown).toEqual([2])
    const [first, second] = servers.map((server) => [...house.nodeOf(server).clients.values()][0])
    expect(first?.uuid).toBe(second?.uuid)
    expect(first?.subscriptionId).toBe(second?.subscriptionId)
  })

  test('is carried out per server in order and one at a time, but side by side on different servers', async () => {
    const [de, fi] = [await house.join('de'), await house.join('fi')]
    const release = house.nodeOf(de).hold()
    const slow = []
    for (const email of ['a', 'b', 'c', 'd']) slow.push(await addClient(email, [de]))
    // While one server takes its time, the other does not wait.
    const { settled } = await addClient('e', [fi])
    expect(statuses(await settled)).toEqual(['applied'])
    expect(statuses(house.fleet.tasks.open(de.id))).toEqual(['running', 'pending', 'pending', 'pending'])
    release()
    await Promise.all(slow.map((batch) => batch.settled))
    const node = house.nodeOf(de)
    expect([...node.clients.values()].map((client) => client.email)).toEqual(['a', 'b', 'c', 'd'])
    expect(node.mostAtOnce).toBe(1)
  })

  test('answers for every target, also for those switched off or unknown to be there', async () => {
    const [de, fi] = [await house.join('de'), await house.join('fi')]
    house.fleet.servers.setEnabled(fi.id, false, alice)
    const invited = house.fleet.servers.create({ name: 'us' }, alice)
    const { settled } = await addClient('bob', [fi, de, invited])
    expect(statuses(await settled)).toEqual(['pending', 'applied', 'pending'])
    await expect(addClient('bob', [de, { ...de, id: 99 }])).rejects.toMatchObject({
      code: 'SERVER_NOT_FOUND',
    })
  })

  test('with an input that is not valid writes nothing at all', async () => {
    const de = await house.join('de')
    const rows = () => house.db.$client.prepare('select count(*) from server_tasks').pluck().get()
    const before = rows()
    const bad = house.fleet.tasks.run({
      operation: 'clients.delete',
      targets: [
        { serverId: de.id, input: { email: 'bob' } },
        { serverId: de.id, input: { email: 'a/b' } },
      ],
      actor: alice,
    })
    await expect(bad).rejects.toMatchObject({ code: 'BAD_INPUT', details: { field: 'email' } })
    expect(rows()).toBe(before)
  })

  test('asked for twice under one id is one change', async () => {
    const de = await house.join('de')
    const first = await addClient('bob', [de], 'tap-1')
    const second = await addClient('bob', [de], 'tap-1')
    expect(second.tasks.map((task) => task.id)).toEqual(first.tasks.map((task) => task.id))
    await first.settled
    expect(statuses(await second.settled)).toEqual(['applied'])
    expect(house.nodeOf(de).applied.filter(({ operation }) => operation === 'clients.add')).toHaveLength(1)
  })

  test('to delete what is gone already changes nothing, and is no failure', async () => {
    const de = await house.join('de')
    const { settled } = await house.fleet.tasks.run({
      operation: 'clients.delete',
      targets: [{ serverId: de.id, input: { email: 'nobody' } }],
      actor: alice,
    })
    expect(statuses(await settled)).toEqual(['unchanged'])
  })

  test('that a server refuses does not hold up the next', async () => {
    const de = await house.join('de')
    house.nodeOf(de).failNext('PORT_TAKEN', 1, { port: 443, by: 'nginx' })
    const [first, second] = [await addClient('a', [de]), await addClient('b', [de])]
    const [refused] = await first.settled
    expect(refused).toMatchObject({ status: 'failed', attempts: 1 })
    expect(refused?.error).toEqual({
      code: 'PORT_TAKEN',
      message: new FleetError('PORT_TAKEN', { port: 443, by: 'nginx' }).message,
      details: { port: 443, by: 'nginx' },
    })
    expect(statuses(await second.settled)).toEqual(['applied'])
  })

  test('that a server fails over without saying why is given up after three attempts', async () => {
    const de = await house.join('de')
    house.nodeOf(de).failNext('INTERNAL', 9, { trace: 'x' })
    const { id } = await addClient('a', [de])
    await house.runtime.advance(60_000)
    await eventually(() =>
      expect(house.fleet.tasks.batch(id)[0]).toMatchObject({ status: 'failed', attempts: 3 }),
    )
  })
})

describe('a server that is away', () => {
  test('gets the change when it is back, in the order it was asked for', async () => {
    const [de, fi] = [await house.join('de'), await house.join('fi')]
    house.nodeOf(fi).offline = true
    const first = await addClient('a', [de, fi])
    expect(statuses(await first.settled)).toEqual(['applied', 'pending'])
    const second = await addClient('b', [fi])
    expect(statuses(await second.settled)).toEqual(['pending'])
    expect(house.fleet.view.person('a')?.placements).toHaveLength(1)

    house.nodeOf(fi).offline = false
    house.fleet.tasks.kick(fi.id)
    await eventually(() => expect(house.fleet.tasks.open(fi.id)).toEqual([]))
    expect([...house.nodeOf(fi).clients.values()].map((client) => client.email)).toEqual(['a', 'b'])
    await eventually(() => expect(house.fleet.view.person('b')?.placements).toHaveLength(1))
  })

  test('is tried again by itself, less and less often', async () => {
    const de = await house.join('de')
    house.nodeOf(de).offline = true
    const { id, settled } = await addClient('a', [de])
    await settled
    const attempts = () => house.fleet.tasks.batch(id)[0]?.attempts
    for (const [seconds, tries] of [
      [1, 2],
      [2, 3],
      [5, 4],
      [10, 5],
      [30, 6],
      [60, 7],
      [60, 8],
    ] as const) {
      await house.runtime.advance(seconds * 1000 - 1)
      expect(attempts()).toBe(tries - 1)
      await house.runtime.advance(1)
      await eventually(() => expect(attempts()).toBe(tries))
      await house.runtime.advance(0)
    }
    house.nodeOf(de).offline = false
    await house.runtime.advance(60_000)
    await eventually(() => expect(statuses(house.fleet.tasks.batch(id))).toEqual(['applied']))
  })

  test('and known to be so is not waited for', async () => {
    const de = await house.join('de')
    house.nodeOf(de).offline = true
    house.fleet.servers.report(de.id, { status: 'offline', lastError: 'connection refused' })
    const asked = house.nodeOf(de).calls.length
    const { id, settled } = await addClient('a', [de])
    expect(statuses(await settled)).toEqual(['pending'])
    expect(house.nodeOf(de).calls).toHaveLength(asked)

    house.nodeOf(de).offline = false
    house.fleet.servers.report(de.id, { status: 'online' })
    await eventually(() => expect(statuses(house.fleet.tasks.batch(id))).toEqual(['applied']))
  })

  test('is not sent what was meant for that moment, now or later', async () => {
    const de = await house.join('de')
    const node = house.nodeOf(de)
    house.fleet.servers.report(de.id, { status: 'offline', lastError: 'no route' })
    node.offline = true
    const [known] = await (await restartXray([de])).settled
    expect(known).toMatchObject({ status: 'failed', error: { code: 'SERVER_UNREACHABLE' } })
    expect(known?.error?.details).toEqual({ reason: 'it is away, and this is not kept for later' })

    // Still thought to be there: sent, refused, and not tried again.
    house.fleet.servers.report(de.id, { status: 'online' })
    const [tried] = await (await restartXray([de])).settled
    expect(tried).toMatchObject({ status: 'failed', attempts: 1, error: { code: 'SERVER_UNREACHABLE' } })

    // Behind a change that waits it does not wait along.
    const waiting = await addClient('a', [de])
    const behind = await restartXray([de])
    expect(statuses(await waiting.settled)).toEqual(['pending'])
    expect(statuses(await behind.settled)).toEqual(['failed'])
    node.offline = false
    house.fleet.tasks.kick(de.id)
    await eventually(() => expect(statuses(house.fleet.tasks.batch(waiting.id))).toEqual(['applied']))
    expect(node.applied.map(({ operation }) => operation)).not.toContain('xray.restart')
  })

  test('for longer than a change is wanted: it expires, and can be asked for again', async () => {
    const de = await house.join('de')
    house.nodeOf(de).offline = true
    house.fleet.servers.report(de.id, { status: 'offline' })
    const { id, settled } = await addClient('a', [de])
    await settled
    await house.restart('kill')
    house.runtime.skip(8 * 24 * 60 * 60 * 1000)
    house.fleet.tasks.kick(de.id)
    await eventually(() =>
      expect(house.fleet.tasks.batch(id)[0]).toMatchObject({
        status: 'expired',
        error: { code: 'TASK_EXPIRED' },
      }),
    )
    house.nodeOf(de).offline = false
    const again = await house.fleet.tasks.retryFailed(id, alice)
    house.fleet.servers.report(de.id, { status: 'online' })
    await again.settled
    await eventually(() => expect(statuses(house.fleet.tasks.batch(again.id))).toEqual(['applied']))
    expect([...house.nodeOf(de).clients.values()]).toHaveLength(1)
  })

  test('that has not joined yet gets everything when it joins', async () => {
    const { id } = house.fleet.servers.create({ name: 'us' }, alice)
    const server = house.fleet.servers.get(id)
    expect(() => house.fleet.connectorFor(id)).toThrow(expect.objectContaining({ code: 'SERVER_NOT_JOINED' }))
    const [refused] = await (await restartXray([server])).settled
    expect(refused).toMatchObject({ status: 'failed', error: { code: 'SERVER_NOT_JOINED' } })
    const main = await house.fleet.tasks.run({
      operation: 'inbounds.add',
      targets: [
        {
          serverId: id,
          input: {
            tag: 'main',
            protocol: 'vless',
            port: 443,
            stream: { transport: { type: 'raw' }, security: { type: 'none' } },
          },
        },
      ],
      actor: alice,
    })
    expect(statuses(await main.settled)).toEqual(['pending'])
    await house.runtime.advance(600_000)
    expect(house.nodeOf(id).calls).toEqual([])
    house.fleet.noteJoined(id, 'https://us.example:8443')
    await eventually(() => expect(house.fleet.view.inbounds(id)).toHaveLength(1))
  })
})

describe('an answer that is lost', () => {
  test('is asked for again under the same key: one effect', async () => {
    const de = await house.join('de')
    const node = house.nodeOf(de)
    node.loseAnswers = 2
    const { id, settled } = await addClient('bob', [de])
    expect((await settled)[0]).toMatchObject({ status: 'pending', error: { code: 'SERVER_TIMEOUT' } })
    await house.runtime.advance(10_000)
    await eventually(() =>
      expect(house.fleet.tasks.batch(id)[0]).toMatchObject({ status: 'applied', attempts: 3 }),
    )
    expect(node.applied.filter(({ operation }) => operation === 'clients.add')).toHaveLength(1)
  })
})

describe.each(['stop', 'kill'] as const)('after a %s in the middle', (how) => {
  test('everything goes on: nothing lost, nothing doubled, the same credentials', async () => {
    const [de, fi, us] = [await house.join('de'), await house.join('fi'), await house.join('us')]
    const release = house.nodeOf(de).hold()
    house.nodeOf(fi).offline = true
    house.nodeOf(us).loseAnswers = 1
    const first = await addClient('a', [de, fi, us])
    const second = await addClient('b', [de, fi, us])
    const rows = () => [...house.fleet.tasks.batch(first.id), ...house.fleet.tasks.batch(second.id)]
    await eventually(() => expect(rows()[0]?.status).toBe('running'))

    await house.restart(how)
    release()
    house.nodeOf(fi).offline = false
    for (const server of [de, fi, us]) house.fleet.tasks.kick(server.id)
    await eventually(() => expect(statuses(rows())).toEqual(Array(6).fill('applied')))

    const people = [de, fi, us].map((server) => [...house.nodeOf(server).clients.values()])
    for (const clients of people) expect(clients.map((client) => client.email)).toEqual(['a', 'b'])
    expect(new Set(people.flat().map((client) => client.uuid)).size).toBe(2)
    for (const server of [de, fi, us]) {
      const keys = house.nodeOf(server).applied.map(({ key }) => key)
      expect(new Set(keys).size).toBe(keys.length)
    }
    await eventually(() => expect(house.fleet.view.person('b')?.placements).toHaveLength(3))
  })
})

test('what was on its way when the process died counts as waiting, not as being carried out', async () => {
  const de = await house.join('de')
  house.nodeOf(de).hold()
  const { id } = await addClient('bob', [de])
  await eventually(() => expect(statuses(house.fleet.tasks.batch(id))).toEqual(['running']))
  house.fleet.servers.setEnabled(de.id, false, alice)
  await house.restart('kill')
  expect(statuses(house.fleet.tasks.batch(id))).toEqual(['pending'])
})

describe('trying again what failed', () => {
  test('sends it with the same secrets, only where it failed, and once', async () => {
    const [de, fi] = [await house.join('de'), await house.join('fi')]
    house.nodeOf(fi).failNext('XRAY_REFUSED', 1, { reason: 'no' })
    const { id, settled } = await addClient('bob', [de, fi])
    expect(statuses(await settled)).toEqual(['applied', 'failed'])

    const again = await house.fleet.tasks.retryFailed(id, alice)
    expect(again.tasks.map((task) => task.serverId)).toEqual([fi.id])
    expect(statuses(await again.settled)).toEqual(['applied'])
    const uuids = [de, fi].map((server) => [...house.nodeOf(server).clients.values()][0]?.uuid)
    expect(uuids[0]).toBe(uuids[1])

    const tapped = await house.fleet.tasks.retryFailed(id, alice)
    expect(tapped.id).toBe(again.id)
    expect(house.nodeOf(fi).clients.size).toBe(1)
  })

  test('of a batch without failures is an empty batch', async () => {
    const de = await house.join('de')
    const { id, settled } = await addClient('bob', [de])
    await settled
    const again = await house.fleet.tasks.retryFailed(id, alice)
    expect(await again.settled).toEqual([])
  })
})

describe('a server that is removed', () => {
  test('has its open tasks cancelled, its rights revoked, its rows forgotten', async () => {
    const [de, fi] = [await house.join('de'), await house.join('fi')]
    await (
      await addClient('bob', [de, fi])
    ).settled
    house.nodeOf(fi).offline = true
    const waiting = await addClient('carol', [fi])
    await waiting.settled
    house.fleet.servers.remove(fi.id, alice)
    expect(statuses(house.fleet.tasks.batch(waiting.id))).toEqual(['cancelled'])
    expect(house.revoked).toEqual([fi.id])
    expect(house.closed).toContain(fi.id)
    expect(house.fleet.view.person('bob')?.placements).toHaveLength(1)
    expect(house.fleet.view.inbounds(fi.id)).toEqual([])
    expect(() => house.fleet.servers.get(fi.id)).toThrow(
      expect.objectContaining({ code: 'SERVER_NOT_FOUND' }),
    )
    // Its number is never given to another.
    expect(house.fleet.servers.create({ name: 'new' }, alice).id).toBeGreaterThan(fi.id)
  })

  test('in the middle of a call is not heard any more', async () => {
    const de = await house.join('de')
    const release = house.nodeOf(de).hold()
    const { id, settled } = await addClient('bob', [de])
    await eventually(() => expect(statuses(house.fleet.tasks.batch(id))).toEqual(['running']))
    house.fleet.servers.remove(de.id, alice)
    expect(statuses(await settled)).toEqual(['cancelled'])
    release()
    await house.runtime.advance(0)
    expect(statuses(house.fleet.tasks.batch(id))).toEqual(['cancelled'])
  })
})
