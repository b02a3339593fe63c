import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import type { Server } from './types.ts'
import { createView, linkHost } from './view.ts'

let house: FleetHouse
let [de, fi]: Server[] = []
beforeEach(async () => {
  house = await openFleetHouse()
  de = await house.join('de')
  fi = await house.join('fi')
})
afterEach(() => house.end())

async function add(emails: string[], servers: (Server | undefined)[], enabled = true) {
  const clients = emails.map((email) => ({ ...house.fleet.newClient(email), enabled }))
  const { settled } = await house.fleet.tasks.run({
    operation: 'clients.add',
    targets: servers.flatMap((server) =>
      server ? [{ serverId: server.id, input: { id: 'main', clients } }] : [],
    ),
    actor: alice,
  })
  await settled
}

describe('clients of a server', () => {
  test('come in pages, by name, found by any part of it in any script and case', async () => {
    await add(['zoe', 'Anna', 'Ирина', 'иван', 'per_cent', '100%'], [de])
    await add(['off'], [de], false)
    const id = de?.id ?? 0
    const { view } = house.fleet
    const emails = (query: Partial<Parameters<typeof view.clients>[1]>) =>
      view.clients(id, { page: 0, size: 50, ...query }).items.map((client) => client.email)
    expect(emails({})).toEqual(['100%', 'Anna', 'off', 'per_cent', 'zoe', 'иван', 'Ирина'])
    expect(view.clients(id, { page: 1, size: 3 })).toMatchObject({ total: 7, page: 1, pages: 3 })
    expect(emails({ page: 1, size: 3 })).toEqual(['per_cent', 'zoe', 'иван'])
    expect(view.clients(id, { page: 99, size: 3 })).toMatchObject({ page: 2 })
    expect(emails({ search: 'ИР' })).toEqual(['Ирина'])
    expect(emails({ search: '%' })).toEqual(['100%'])
    expect(emails({ search: '_' })).toEqual(['per_cent'])
    expect(emails({ filter: 'disabled' })).toEqual(['off'])
    const inbound = view.inbounds(id)[0]
    expect(inbound).toMatchObject({ tag: 'main', clientCount: 7, serverId: id })
    expect(emails({ inboundId: inbound?.id ?? 0 })).toHaveLength(7)
    expect(emails({ inboundId: 999 })).toEqual([])
    expect(view.clients(1, { page: 0, size: 5 })).toEqual({ items: [], total: 0, page: 0, pages: 1 })
  })
})

describe('people', () => {
  test('are one name over all servers, with what they used in all', async () => {
    await add(['Bob', 'carol'], [de, fi])
    await add(['bobby'], [fi])
    for (const server of [de, fi]) {
      if (server === undefined) continue
      house.nodeOf(server).carry('Bob', 100, 1_000)
      const position = house.nodeOf(server).position()
      await house.fleet.noteHealth(server.id, {
        status: 'online',
        xrayRunning: true,
        agentVersion: '',
        xrayVersion: null,
        lastError: null,
        time: 0,
        ...position,
      })
    }
    const { view } = house.fleet
    const page = view.people({ page: 0, size: 2, search: 'BOB' })
    expect(page).toMatchObject({ total: 2, pages: 1 })
    expect(page.items.map((person) => [person.email, person.placements.length])).toEqual([
      ['Bob', 2],
      ['bobby', 1],
    ])
    expect(view.person('bOB')).toMatchObject({ email: 'Bob', up: 200, down: 2_000 })
    expect(view.person('bOB')?.placements.map(({ server }) => server.name)).toEqual(['de', 'fi'])
    expect(view.person('nobody')).toBeUndefined()
    await add(['dora'], [de])
    await add(['dora'], [fi], false)
    const disabled = view.people({ page: 0, size: 9, filter: 'disabled' })
    expect(disabled).toMatchObject({ total: 1, pages: 1 })
    // Disabled on one server only, and shown as standing on both.
    expect(disabled.items.map(({ email, placements }) => [email, placements.length])).toEqual([['dora', 2]])
    expect(view.people({ page: 0, size: 9, filter: 'disabled', search: 'bob' }).total).toBe(0)
    expect(view.totals()).toMatchObject({ servers: 3, clients: 4 })
    expect(view.serverTotals(fi?.id ?? 0)).toMatchObject({ inbounds: 1, clients: 4 })
    expect(view.serverTotals(1)).toEqual({ inbounds: 0, clients: 0, up: 0, down: 0 })
  })
})

test('tags say on which servers they are', () => {
  const ids = [de?.id ?? 0, fi?.id ?? 0]
  expect(house.fleet.view.tags([1, ...ids])).toEqual([{ tag: 'main', port: 443, servers: ids }])
  expect(house.fleet.view.tags([])).toEqual([])
})

test('tags count what waits for a server that is away, disabled or has not joined, in its order', async () => {
  const [there, away] = [de?.id ?? 0, fi?.id ?? 0]
  const { id: invited } = house.fleet.servers.create({ name: 'us' }, alice)
  house.fleet.servers.report(away, { status: 'offline' })
  const stream = { transport: { type: 'raw' }, security: { type: 'none' } } as const
  const add = async (tag: string, port: number, servers: number[]): Promise<void> => {
    const input = { tag, port, protocol: 'vless', stream } as const
    const targets = servers.map((serverId) => ({ serverId, input }))
    const { settled } = await house.fleet.tasks.run({ operation: 'inbounds.add', targets, actor: alice })
    await settled
  }
  const remove = (tag: string): Promise<unknown> =>
    house.fleet.tasks.run({
      operation: 'inbounds.delete',
      targets: [{ serverId: away, input: { id: tag } }],
      actor: alice,
    })
  const tags = () => house.fleet.view.tags([invited, away, there])
  await add('extra', 8443, [there, away, invited])
  await remove('main')
  expect(tags()).toEqual([
    { tag: 'extra', port: 8443, servers: [there, away, invited] },
    { tag: 'main', port: 443, servers: [there] },
  ])
  expect(house.fleet.view.tags([there])).toMatchObject([{ tag: 'extra', servers: [there] }, { tag: 'main' }])
  await add('main', 444, [away])
  expect(tags()).toMatchObject([{ tag: 'extra' }, { tag: 'main', servers: [there, away] }])
  await remove('extra')
  expect(tags()[0]).toEqual({ tag: 'extra', port: 8443, servers: [there, invited] })
  expect(house.fleet.view.tags([away])).toMatchObject([{ tag: 'main' }])
})

test('a link leads to the public address of its server and carries the client', async () => {
  await add(['bob'], [de])
  const id = de?.id ?? 0
  const client = house.fleet.view.clientByEmail(id, 'bob')
  const [link, ...more] = house.fleet.view.links(id, client?.id ?? 0)
  expect(more).toEqual([])
  expect(link?.tag).toBe('main')
  expect(link?.link).toMatch(new RegExp(`^vless://${client?.uuid}@de\\.example:443\\?`))
  expect(decodeURIComponent(link?.link ?? '')).toContain('#de-main-bob')
  house.fleet.servers.edit(id, { publicAddress: '2001:db8::1' }, alice)
  expect(house.fleet.view.links(id, client?.id ?? 0)[0]?.link).toContain('@[2001:db8::1]:443')
  expect(house.fleet.view.links(id, 999)).toEqual([])
})

test('a link costs the same in a fleet of any size', async () => {
  await add(['bob'], [de])
  const id = de?.id ?? 0
  const client = house.fleet.view.clientByEmail(id, 'bob')?.id ?? 0
  let listed = 0
  const view = createView({
    db: house.db,
    box: secretBoxFor(Buffer.alloc(32, 7)),
    servers: () => (listed++, house.fleet.servers.list()),
    server: (each) => house.fleet.servers.find(each),
    countServers: () => house.fleet.servers.count(),
    syncedAt: () => 0,
    arriving: () => [],
    waiting: () => [],
    localHost: undefined,
  })
  expect(view.links(id, client)).toEqual(house.fleet.view.links(id, client))
  expect(view.totals().servers).toBe(3)
  expect(listed).toBe(0)
})

test('where a server’s clients dial', () => {
  const local = house.fleet.servers.get(1)
  expect(linkHost(local, '127.0.0.2')).toBe('127.0.0.2')
  expect(linkHost({ ...local, publicAddress: 'a.example' }, '127.0.0.2')).toBe('a.example')
  expect(linkHost(local, undefined)).toBeUndefined()
  const agent = { ...local, kind: 'agent' as const }
  expect(linkHost({ ...agent, endpoint: 'https://[2001:db8::1]:8443' }, 'x')).toBe('2001:db8::1')
  expect(linkHost(agent, 'x')).toBeUndefined()
})
