import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Health } from '#src/contract/index.ts'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import type { Server } from './types.ts'

let house: FleetHouse
let de: Server
beforeEach(async () => {
  house = await openFleetHouse()
  de = await house.join('de')
})
afterEach(() => house.end())

const health = (server: Server): Health => ({
  status: 'online',
  xrayRunning: true,
  agentVersion: '1',
  xrayVersion: '26',
  lastError: null,
  ...house.nodeOf(server).position(),
  time: 0,
})
const note = () => house.fleet.noteHealth(de.id, health(de))

/** Changes made on the server itself, past the fleet. */
async function onServer(...emails: string[]): Promise<void> {
  const clients = emails.map((email) => house.fleet.newClient(email))
  const context = { idempotencyKey: emails.join() }
  await house.nodeOf(de).connector.clients.add({ id: 'main', clients }, { context })
}

const names = () => house.fleet.view.clients(de.id, { page: 0, size: 50 }).items.map((client) => client.email)

describe('a mirror', () => {
  test('fetches only when the position has moved, and knows how old it is', async () => {
    await onServer('bob')
    expect(names()).toEqual([])
    await note()
    expect(names()).toEqual(['bob'])
    const asked = house.nodeOf(de).calls.length
    await house.runtime.advance(30_000)
    await note()
    expect(house.nodeOf(de).calls).toHaveLength(asked)
    expect(house.fleet.view.syncedAt(de.id)).toBe(house.runtime.now())
    expect(house.fleet.view.syncedAt(1)).toBeNull()
    await house.restart('stop')
    expect(house.fleet.view.syncedAt(de.id)).toBe(house.runtime.now())
  })

  test('follows deletions, renamed tags and tags that changed places', async () => {
    await onServer('bob', 'carol')
    await note()
    const { connector } = house.nodeOf(de)
    const { stream } = house.fleet.view.inbounds(de.id)[0] ?? {}
    if (stream?.security.type !== 'none') throw new Error('another inbound was expected')
    const input = { protocol: 'vless', port: 444, stream: { ...stream, security: stream.security } } as const
    await connector.inbounds.add({ ...input, tag: 'spare' }, { context: { idempotencyKey: 'x1' } })
    const dave = house.fleet.newClient('dave')
    await connector.clients.add({ id: 'spare', clients: [dave] }, { context: { idempotencyKey: 'x4' } })
    await note()
    const move = async (id: string, tag: string) =>
      connector.inbounds.update({ id, tag }, { context: { idempotencyKey: `${id}-${tag}` } })
    await move('main', 'aside')
    await move('spare', 'main')
    await move('aside', 'spare')
    await connector.clients.delete({ email: 'bob' }, { context: { idempotencyKey: 'x2' } })
    await note()
    expect(house.fleet.view.inbounds(de.id).map(({ tag, port }) => [tag, port])).toEqual([
      ['spare', 443],
      ['main', 444],
    ])
    expect(names()).toEqual(['carol', 'dave'])
    // Nobody lost a place while the tags changed theirs.
    expect(house.fleet.view.inbounds(de.id).map((inbound) => inbound.clientCount)).toEqual([1, 1])

    await connector.inbounds.delete({ id: 'spare' }, { context: { idempotencyKey: 'x3' } })
    await note()
    expect(house.fleet.view.inbounds(de.id)).toHaveLength(1)
    expect(house.fleet.view.clientByEmail(de.id, 'carol')?.inbounds).toEqual([])
  })

  test('takes a name that went from one client to another', async () => {
    await onServer('bob')
    await note()
    const { connector } = house.nodeOf(de)
    await connector.clients.delete({ email: 'bob' }, { context: { idempotencyKey: 'x' } })
    await onServer('BOB')
    await note()
    expect(names()).toEqual(['BOB'])
  })

  test('starts afresh when the server has another history, and keeps when somebody was last active', async () => {
    await onServer('bob', 'carol')
    house.nodeOf(de).carry('bob', 10, 20)
    await note()
    await house.runtime.advance(1_000)
    house.nodeOf(de).carry('bob', 1, 1)
    await note()
    const active = house.runtime.now()
    const client = () => house.fleet.view.clientByEmail(de.id, 'bob')
    expect(client()).toMatchObject({ up: 11, down: 21, lastActiveAt: active })

    const node = house.nodeOf(de)
    const carol = [...node.clients.values()].find((row) => row.email === 'carol')
    node.clients.delete(carol?.id ?? 0)
    node.restore()
    await house.runtime.advance(60_000)
    await note()
    expect(names()).toEqual(['bob'])
    expect(client()).toMatchObject({ up: 11, down: 21, lastActiveAt: active })
  })

  test('asks one thing at a time, and again when more has happened meanwhile', async () => {
    const node = house.nodeOf(de)
    const answer = node.connector.sync.changes
    let [open, most, count] = [0, 0, 0]
    const slow = async (...args: Parameters<typeof answer>) => {
      most = Math.max(most, ++open)
      count++
      const result = await answer(...args)
      await new Promise((resolve) => setTimeout(resolve, 5))
      open--
      return result
    }
    node.connector = {
      ...node.connector,
      sync: { events: node.connector.sync.events, changes: slow as typeof answer },
    }
    house.fleet.noteJoined(de.id, 'https://elsewhere.example:1')
    await onServer('a')
    const first = note()
    await onServer('b')
    const rest = Array.from({ length: 10 }, note)
    await Promise.all([first, ...rest])
    expect(names()).toEqual(['a', 'b'])
    expect(most).toBe(1)
    expect(count).toBe(2)
  })

  test('of a server that cannot be reached stays as it is, and the sweep does not fail', async () => {
    await onServer('bob')
    await note()
    await onServer('carol')
    house.nodeOf(de).offline = true
    await note()
    expect(names()).toEqual(['bob'])
  })

  test('never takes another server’s rows: the connection decides whose they are', async () => {
    const fi = await house.join('fi')
    await onServer('bob')
    await note()
    expect(house.fleet.view.clients(fi.id, { page: 0, size: 9 }).total).toBe(0)
    expect(house.fleet.view.clients(1, { page: 0, size: 9 }).total).toBe(0)
    expect(house.fleet.view.clients(de.id, { page: 0, size: 9 }).total).toBe(1)
  })
})

test('a good health reply sends what waits', async () => {
  const node = house.nodeOf(de)
  node.offline = true
  const { id, settled } = await house.fleet.tasks.run({
    operation: 'clients.add',
    targets: [{ serverId: de.id, input: { id: 'main', clients: [house.fleet.newClient('bob')] } }],
    actor: alice,
  })
  await settled
  node.offline = false
  await note()
  await vi.waitFor(() => expect(house.fleet.tasks.batch(id)[0]?.status).toBe('applied'), { timeout: 20_000 })
})
