import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Sqlite } from '#src/store/open.ts'
import { migratedDatabases, reopened } from '#test/support/migrated.ts'
import { createTrafficLedger } from '#test/support/traffic-ledger.ts'
import { createAccounting } from './accounting.ts'
import { createPosition } from './rows/position.ts'

const DAY = 24 * 60 * 60 * 1000
const TODAY = 20_000 * DAY

const database = migratedDatabases()
const names = ['Anna', 'bert'] as const
const inbounds = [1, 2] as const

function addClient(db: Sqlite, id: number, email: string): void {
  db.prepare(
    `insert into clients (server_id, id, email, email_key, credentials, flow, enabled, comment, row_version, change_seq,
       created_at, updated_at) values (1, ?, ?, ?, '', '', 1, '', 1, 1, 0, 0)`,
  ).run(id, email, email.toLowerCase())
}

function withInbounds(): Sqlite {
  const db = database()
  const insert = db.prepare(
    `insert into inbounds (server_id, id, tag, remark, protocol, listen, port, stream, sniffing, enabled, row_version,
       change_seq, created_at, updated_at) values (1, ?, ?, '', 'vless', '::', ?, '{}', '{}', 1, 1, 1, 0, 0)`,
  )
  for (const id of inbounds) insert.run(id, `in-${id}`, id)
  return db
}

/** A node's accounting over one file, which can be left, killed and replaced. */
function setup() {
  const it = {
    db: withInbounds(),
    time: TODAY,
    accounting: undefined as unknown as ReturnType<typeof createAccounting>,
    /** Everything in memory is new, over the same file or a copy of it. */
    restart(bytes?: Buffer): void {
      if (bytes !== undefined) {
        it.db.close()
        it.db = reopened(bytes)
      }
      const position = createPosition(it.db, () => 'epoch')
      it.accounting = createAccounting({ db: it.db, position, now: () => it.time })
    },
    row: (sql: string, ...values: unknown[]) =>
      it.db.prepare(sql).get(...values) as { up: number; down: number } | undefined,
    lifetime: (table: string, key: string, value: unknown) =>
      it.row(`select up, down from ${table} where ${key} = ?`, value) ?? { up: 0, down: 0 },
    days: (kind: string, subject: unknown) =>
      it.row(
        `select coalesce(sum(up), 0) as up, coalesce(sum(down), 0) as down from traffic_days
         where kind = ? and subject = ?`,
        kind,
        String(subject),
      ),
    used: (id: number) =>
      it.db
        .prepare(
          'select coalesce(sum(up + down - reset_up - reset_down), 0) from client_traffics where client_id = ?',
        )
        .pluck()
        .get(id),
  }
  it.restart()
  return it
}

const name = fc.constantFrom(...names)
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      does: fc.constant('moves'),
      name,
      inbound: fc.constantFrom(...inbounds),
      up: fc.nat(1e6),
      down: fc.nat(1e6),
    }),
  },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('read') }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('the answer is lost') }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('our crash') }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('crash of Xray') }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('planned restart of Xray') }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('copy') }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('put back'), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('clock'), days: fc.integer({ min: -150, max: 150 }) }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('delete or add'), name }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('reset'), name }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

function bothWays() {
  const node = setup()
  const ledger = createTrafficLedger()
  const copies: { bytes: Buffer; written: ReturnType<typeof ledger.copy> }[] = []
  const ids = new Map<string, number>()
  let nextId = 10

  function read(): void {
    node.accounting.record(`start ${ledger.start()}`, ledger.counters())
    ledger.read()
  }

  function addOrRemove(email: string): void {
    const id = node.db.prepare('select id from clients where email = ?').pluck().get(email) as
      | number
      | undefined
    if (id !== undefined) {
      node.db.prepare('delete from clients where id = ?').run(id)
      ledger.remove(email)
      return
    }
    // Ids are never used twice, also not after an older copy was put back: they are the test's here.
    addClient(node.db, ++nextId, email)
    ledger.add(email, nextId)
  }

  function carryOut(what: Step): void {
    if ('up' in what) ledger.move(what)
    else if ('days' in what) node.time += what.days * DAY
    else if ('which' in what) {
      const copy = copies[what.which % copies.length]
      if (copy === undefined) return
      node.restart(copy.bytes)
      ledger.putBack(copy.written)
    } else if (what.does === 'delete or add' && 'name' in what) addOrRemove(what.name)
    else if ('name' in what) {
      node.db
        .prepare(
          `update client_traffics set reset_up = up, reset_down = down
           where client_id = (select id from clients where email = ?)`,
        )
        .run(what.name)
      ledger.reset(what.name)
    } else if (what.does === 'read') read()
    else if (what.does === 'our crash') node.restart()
    else if (what.does === 'copy') copies.push({ bytes: node.db.serialize(), written: ledger.copy() })
    else if (what.does !== 'the answer is lost') {
      if (what.does === 'planned restart of Xray') read()
      ledger.ends()
    }
  }

  function compare(): void {
    const expected = ledger.expected()
    for (const { id, up, down, used } of expected.clients) {
      expect(node.lifetime('client_traffics', 'client_id', id)).toEqual({ up, down })
      expect(node.days('client', id)).toEqual({ up, down })
      expect(node.used(id)).toBe(used)
      expect(used).toBeGreaterThanOrEqual(0)
    }
    for (const id of inbounds) {
      expect(node.lifetime('inbound_traffics', 'inbound_id', id)).toEqual(expected.inbound(id))
      expect(node.days('inbound', id)).toEqual(expected.inbound(id))
    }
    expect(node.lifetime('outbound_traffics', 'tag', 'direct')).toEqual(expected.outbound)
    expect(node.days('outbound', 'direct')).toEqual(expected.outbound)
  }

  return { ids, addOrRemove, carryOut, read, compare, close: () => node.db.close() }
}

describe('accounting', () => {
  test('whatever crashes, is lost, put back, deleted or set wrong, every byte that was read is counted once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const both = bothWays()
        names.forEach(both.addOrRemove)
        for (const what of steps) {
          both.carryOut(what)
          both.compare()
        }
        both.read()
        both.compare()
        both.close()
      }),
      { numRuns: 1_000 },
    )
  }, 120_000)

  test('a client that is deleted and added again is counted on from there, whatever its name is written like', () => {
    const node = setup()
    const counter = (name: string) => `user>>>${name}#1>>>traffic>>>downlink`
    addClient(node.db, 11, 'Anna')
    node.accounting.record('x', new Map([[counter('Anna'), 100]]))
    node.db.prepare('delete from clients').run()
    // What stands goes on, for nobody.
    node.accounting.record('x', new Map([[counter('Anna'), 150]]))
    addClient(node.db, 12, 'anna')
    node.accounting.record('x', new Map(Object.entries({ [counter('Anna')]: 170, [counter('anna')]: 5 })))
    expect(node.lifetime('client_traffics', 'client_id', 12)).toEqual({ up: 0, down: 25 })
    expect(node.lifetime('inbound_traffics', 'inbound_id', 1)).toEqual({ up: 0, down: 175 })
  })

  test('counters that somebody sets to zero by hand are counted on from zero', () => {
    const node = setup()
    const read = (bytes: number) =>
      node.accounting.record('x', new Map([['outbound>>>direct>>>traffic>>>uplink', bytes]]))
    expect([read(1_000), read(1_000), read(300), read(0), read(50)]).toEqual([true, false, true, false, true])
    expect(node.lifetime('outbound_traffics', 'tag', 'direct')).toEqual({ up: 1_350, down: 0 })
  })

  test('days are kept for 400 days', () => {
    const node = setup()
    const read = (bytes: number) =>
      node.accounting.record('x', new Map([['outbound>>>direct>>>traffic>>>uplink', bytes]]))
    const kept = () => node.db.prepare('select day from traffic_days order by day').pluck().all()
    read(1)
    node.time += 400 * DAY
    read(2)
    expect(kept()).toEqual([20_000, 20_400])
    node.time += DAY
    read(3)
    expect(kept()).toEqual([20_400, 20_401])
  })

  test('of 10,000 clients, 2,000 of whom move something, a reading costs less than 100 ms of the processor', () => {
    const node = setup()
    node.db.transaction(() => {
      for (let id = 0; id < 10_000; id++) addClient(node.db, 100 + id, `client-${id}`)
    })()
    const counters = new Map<string, number>()
    const reading = (movers: number): number => {
      for (let id = 0; id < movers; id++)
        for (const direction of ['uplink', 'downlink']) {
          const counter = `user>>>client-${id}#1>>>traffic>>>${direction}`
          counters.set(counter, (counters.get(counter) ?? 0) + 1_000)
        }
      const before = process.cpuUsage()
      node.accounting.record('x', counters)
      const { user, system } = process.cpuUsage(before)
      return (user + system) / 1_000
    }
    reading(10_000)
    expect(Math.min(...[1, 2, 3, 4, 5].map(() => reading(2_000)))).toBeLessThan(100)
  })

  test('counts an inbound as a whole where Xray knows no users of it, and only there', () => {
    const node = setup()
    const protocol = (name: string) =>
      node.db.prepare('update inbounds set protocol = ? where id = 1').run(name)
    const inbound = (tag: string, bytes: number) =>
      [`inbound>>>${tag}>>>traffic>>>downlink`, bytes] as [string, number]
    const record = (start: string, ...counters: [string, number][]) =>
      node.accounting.record(start, new Map(counters))
    const counted = () => node.lifetime('inbound_traffics', 'inbound_id', 1)
    const readings = (): number =>
      node.db.prepare('select count(*) from xray_counters').pluck().get() as number

    // Of one whose users are counted it would count every byte again; the API's own moves with each reading.
    expect(record('1', inbound('in-1', 500), inbound('api', 9))).toBe(false)
    expect(counted()).toEqual({ up: 0, down: 0 })
    expect(readings()).toBe(1)

    // Another inbound by the same tag: what was counted under it before is not its own.
    protocol('wireguard')
    expect(record('1', inbound('in-1', 700), inbound('api', 12))).toBe(true)
    expect(record('1', inbound('in-1', 700), inbound('api', 15))).toBe(false)
    expect(counted()).toEqual({ up: 0, down: 200 })

    protocol('tunnel')
    expect(record('2', inbound('in-1', 40))).toBe(true)
    expect(counted()).toEqual({ up: 0, down: 240 })
    expect(readings()).toBe(1)
    expect(node.days('inbound', 1)).toEqual({ up: 0, down: 240 })
  })
})
