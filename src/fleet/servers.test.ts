import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'

let house: FleetHouse
beforeEach(async () => {
  house = await openFleetHouse()
})
afterEach(() => house.end())

const coded = (code: string, details: object = {}): unknown => expect.objectContaining({ code, ...details })
const row = (id: number) =>
  house.db.$client.prepare('select last_seen as lastSeen, status from servers where id = ?').get(id)

describe('which server is meant', () => {
  test('the only one, while there is only one', () => {
    expect(house.fleet.servers.isSingle()).toBe(true)
    expect(house.fleet.servers.default()).toMatchObject({
      id: 1,
      kind: 'local',
      name: 'Default Local Server',
    })
    house.fleet.servers.setEnabled(1, false, alice)
    expect(house.fleet.servers.default().id).toBe(1)
  })

  test('the local one while it is enabled, else the first that is', () => {
    const { id } = house.fleet.servers.create({ name: 'de' }, alice)
    expect(house.fleet.servers.isSingle()).toBe(false)
    expect(house.fleet.servers.default().id).toBe(1)
    house.fleet.servers.setEnabled(1, false, alice)
    expect(house.fleet.servers.default().id).toBe(id)
    house.fleet.servers.setEnabled(id, false, alice)
    expect(house.fleet.servers.default().id).toBe(1)
  })
})

describe('names and addresses', () => {
  test('a name is one line, and taken whatever its case', () => {
    const { servers } = house.fleet
    const { id } = servers.create({ name: ' Köln ' }, alice)
    expect(servers.get(id).name).toBe('Köln')
    expect(() => servers.create({ name: 'KÖLN' }, alice)).toThrow(coded('SERVER_NAME_TAKEN'))
    const other = servers.create({ name: 'Bonn' }, alice)
    expect(() => servers.edit(other.id, { name: 'köln' }, alice)).toThrow(coded('SERVER_NAME_TAKEN'))
    expect(servers.edit(id, { name: 'KÖLN' }, alice).name).toBe('KÖLN')
    for (const name of ['', '  ', 'a\nb', 'x'.repeat(65)])
      expect(() => servers.create({ name }, alice)).toThrow(coded('BAD_INPUT'))
    expect(servers.list()).toHaveLength(3)
  })

  test.each(['de.example', '203.0.113.7', '2001:db8::1', '[2001:db8::1]'])('%s is an address', (address) => {
    const { id } = house.fleet.servers.create({ name: 'de', publicAddress: address }, alice)
    expect(house.fleet.servers.get(id).publicAddress).toBe(address.replace(/[[\]]/g, ''))
  })

  test.each([
    '',
    'a b',
    'https://de.example',
    'de.example:443',
    'a/b',
    '-x.example',
    'a..b',
    'a.',
    '300.1.1.1',
    'fe80::1%eth0',
  ])('%j is none', (publicAddress) => {
    expect(() => house.fleet.servers.create({ name: 'de', publicAddress }, alice)).toThrow(
      coded('BAD_INPUT', { details: expect.objectContaining({ field: 'publicAddress' }) as object }),
    )
  })

  test('an edit that changes nothing leaves no record', () => {
    const count = () => house.db.$client.prepare('select count(*) from server_tasks').pluck().get()
    const { id } = house.fleet.servers.create({ name: 'de' }, alice)
    const before = count()
    house.fleet.servers.edit(id, { name: 'de', tags: [] }, alice)
    expect(count()).toBe(before)
    expect(house.fleet.servers.edit(id, { tags: ['a', 'b', 'a'], notes: 'two\nlines' }, alice)).toMatchObject(
      {
        tags: ['a', 'b'],
        notes: 'two\nlines',
      },
    )
    expect(count()).toBe(Number(before) + 1)
  })
})

test('the machine fleetgram runs on can neither be removed nor invited', () => {
  expect(() => house.fleet.servers.remove(1, alice)).toThrow(coded('SERVER_IS_LOCAL'))
  expect(() => house.fleet.servers.invite(1, alice)).toThrow(coded('BAD_INPUT'))
})

test('a disabled server gives no connector, and what waits for it goes on when it is enabled', async () => {
  const de = await house.join('de')
  const node = house.nodeOf(de)
  node.offline = true
  const { id, settled } = await house.fleet.tasks.run({
    operation: 'inbounds.delete',
    targets: [{ serverId: de.id, input: { id: 'main' } }],
    actor: alice,
  })
  await settled
  house.fleet.servers.setEnabled(de.id, false, alice)
  expect(() => house.fleet.connectorFor(de.id)).toThrow(coded('SERVER_DISABLED'))
  node.offline = false
  const asked = node.calls.length
  await house.runtime.advance(600_000)
  expect(node.calls).toHaveLength(asked)
  const over = new Promise<void>((resolve) => {
    house.fleet.tasks.watch(id, ([task]) => task?.status === 'applied' && resolve())
  })
  house.fleet.servers.setEnabled(de.id, true, alice)
  await over
  expect(node.inbounds.size).toBe(0)
})

describe('what health reports', () => {
  test('is cut where a server tells more of itself than a screen can hold', async () => {
    const { id } = await house.join('de')
    const long = 'v'.repeat(1e5)
    house.fleet.servers.report(id, { lastError: long, version: long, xrayVersion: long, osInfo: long })
    const { lastError, version, xrayVersion, osInfo } = house.fleet.servers.get(id)
    for (const text of [version, xrayVersion, osInfo, lastError]) expect(text).toMatch(/^v{30,1000}…$/)
    // The same again is no news.
    const writes = (): unknown => house.db.$client.prepare('select total_changes()').pluck().get()
    const before = writes()
    house.fleet.servers.report(id, { lastError: long, version: long })
    expect(writes()).toBe(before)
  })

  test('that a server was seen costs no write until an hour is over, or something else moves', async () => {
    const de = await house.join('de')
    const heard: number[] = []
    house.fleet.on('server', ({ serverId }) => heard.push(serverId))
    await house.runtime.advance(0)
    heard.length = 0
    const before = row(de.id)
    const later = house.runtime.now() + 30_000
    house.fleet.servers.report(de.id, { status: 'online', lastSeen: later, lastError: null })
    await house.runtime.advance(0)
    expect(row(de.id)).toEqual(before)
    expect(house.fleet.servers.get(de.id).lastSeen).toBe(later)
    expect(heard).toEqual([])

    house.fleet.servers.report(de.id, { status: 'offline', lastError: 'timeout' })
    expect(row(de.id)).toEqual({ lastSeen: later, status: 'offline' })
    await house.runtime.advance(0)
    expect(heard).toEqual([de.id])

    house.fleet.servers.report(de.id, { lastSeen: later + 1 })
    await house.runtime.advance(60 * 60 * 1000)
    expect(row(de.id)).toMatchObject({ lastSeen: later + 1 })
  })

  test('is kept over a restart, and ignored for a server that is gone', async () => {
    const de = await house.join('de')
    const later = house.runtime.now() + 5
    house.fleet.servers.report(de.id, { lastSeen: later })
    await house.restart('stop')
    expect(house.fleet.servers.get(de.id).lastSeen).toBe(later)
    house.fleet.servers.report(99, { status: 'online' })
    expect(house.fleet.servers.find(99)).toBeUndefined()
  })

  test('a transaction that is taken back tells nobody of a state that never was', async () => {
    const de = await house.join('de')
    const states: string[] = []
    house.fleet.on('server', () => states.push(house.fleet.servers.get(de.id).status))
    await house.runtime.advance(0)
    states.length = 0
    expect(() =>
      house.db.transaction(() => {
        house.fleet.servers.report(de.id, { status: 'offline' })
        throw new Error('taken back')
      }),
    ).toThrow('taken back')
    await house.runtime.advance(0)
    expect(states).not.toContain('offline')
  })
})

test('a server that joins anew is dialled anew', async () => {
  const de = await house.join('de')
  const joined: number[] = []
  house.fleet.on('joined', ({ serverId }) => joined.push(serverId))
  house.fleet.connectorFor(de.id)
  house.fleet.noteJoined(de.id, 'https://127.0.0.9:1')
  await house.runtime.advance(0)
  expect(joined).toEqual([de.id])
  expect(house.closed).toEqual([de.id])
  expect(house.fleet.servers.get(de.id).endpoint).toBe('https://127.0.0.9:1')
})
