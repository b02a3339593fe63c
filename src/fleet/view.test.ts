import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import type { Server } from './types.ts'
import { linkHost } from './view.ts'

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

test('where a server’s clients dial', () => {
  const local = house.fleet.servers.get(1)
  expect(linkHost(local, '127.0.0.2')).toBe('127.0.0.2')
  expect(linkHost({ ...local, publicAddress: 'a.example' }, '127.0.0.2')).toBe('a.example')
  expect(linkHost(local, undefined)).toBeUndefined()
  const agent = { ...local, kind: 'agent' as const }
  expect(linkHost({ ...agent, endpoint: 'https://[2001:db8::1]:8443' }, 'x')).toBe('2001:db8::1')
  expect(linkHost(agent, 'x')).toBeUndefined()
})
