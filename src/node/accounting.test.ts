import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openStore } from '#src/store/open.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { createAccounting } from './accounting.ts'
import { createPosition } from './position.ts'

const migrations = readMigrations('migrations')

function setup() {
  const db = openStore({ file: ':memory:', migrations, now: 0 })
  const position = createPosition(db, () => 'epoch')
  db.prepare(
    `insert into inbounds (server_id, id, tag, remark, protocol, listen, port, stream, sniffing, enabled, row_version,
       change_seq, created_at, updated_at) values (1, 1, 'in-1', '', 'vless', '::', 443, '{}', '{}', 1, 1, 1, 0, 0)`,
  ).run()
  db.prepare(
    `insert into clients (server_id, id, email, email_key, credentials, flow, enabled, comment, row_version, change_seq,
       created_at, updated_at) values (1, 2, 'Anna', 'anna', '', '', 1, '', 1, 1, 0, 0)`,
  ).run()
  // A new accounting over the same file is what a restart of our process is.
  const restart = () => createAccounting({ db, position, now: () => 5 })
  const lifetime = (table: string) =>
    (db.prepare(`select up, down from ${table}`).get() as { up: number; down: number } | undefined) ?? {
      up: 0,
      down: 0,
    }
  return { db, restart, lifetime }
}

describe('accounting', () => {
  test('whatever restarts in between, every byte that was read is counted once', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ traffic: fc.tuple(fc.nat(1e6), fc.nat(1e6)) }) },
      { weight: 3, arbitrary: fc.constant('read' as const) },
      { weight: 1, arbitrary: fc.constant('our restart' as const) },
      { weight: 1, arbitrary: fc.constant('xray restart' as const) },
      { weight: 1, arbitrary: fc.constant('xray crash' as const) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { restart, lifetime } = setup()
        let accounting = restart()
        let start = 1
        let [up, down] = [0, 0]
        // The model: what was read counts, what a crash took before it was read does not.
        const counted = { up: 0, down: 0 }
        let seen: [number, number] = [0, 0]
        const read = (): void => {
          const name = (direction: string) => `user>>>Anna#1>>>traffic>>>${direction}`
          accounting.record(
            String(start),
            new Map([
              [name('uplink'), up],
              [name('downlink'), down],
            ]),
          )
          counted.up += up - seen[0]
          counted.down += down - seen[1]
          seen = [up, down]
        }
        for (const what of steps) {
          if (typeof what === 'object') {
            up += what.traffic[0]
            down += what.traffic[1]
          } else if (what === 'read') read()
          else if (what === 'our restart') accounting = restart()
          else {
            if (what === 'xray restart') read()
            start++
            ;[up, down] = [0, 0]
            seen = [0, 0]
          }
        }
        read()
        expect(lifetime('client_traffics')).toEqual(counted)
        expect(lifetime('inbound_traffics')).toEqual(counted)
      }),
      { numRuns: 200 },
    )
  })

  test('what many moved belongs to each of them, to their inbounds and to the outbound it left by', () => {
    const { db, restart } = setup()
    const [inbounds, clients] = [[1, 2], Array.from({ length: 230 }, (_, index) => index + 10)]
    db.exec(`insert into inbounds select server_id, 2, 'in-2', remark, protocol, listen, port, stream, secrets, sniffing,
      enabled, row_version, change_seq, created_at, updated_at from inbounds`)
    const add =
      db.prepare(`insert into clients select server_id, @id, @name, @name, credentials, flow, enabled, comment,
      row_version, change_seq, created_at, updated_at from clients where id = 2`)
    for (const id of clients) add.run({ id, name: `client ${id}` })

    const reading = (times: number): Map<string, number> => {
      const counters: [string, number][] = [
        ['outbound>>>direct>>>traffic>>>uplink', 7 * times],
        ['inbound>>>in-1>>>traffic>>>uplink', 1_000_000],
        // Not of our making, gone, in an inbound that is gone.
        ['user>>>stranger>>>traffic>>>uplink', times],
        ['user>>>gone#1>>>traffic>>>uplink', 3 * times],
        ['user>>>Client 10#9>>>traffic>>>uplink', 5 * times],
        ...clients.flatMap((id): [string, number][] =>
          inbounds.flatMap((inbound): [string, number][] => [
            [`user>>>Client ${id}#${inbound}>>>traffic>>>uplink`, id * times],
            [`user>>>Client ${id}#${inbound}>>>traffic>>>downlink`, 2 * id * times],
          ]),
        ),
      ]
      return new Map(counters.toReversed())
    }
    const accounting = restart()
    // The second reading has counters that the first did not know yet.
    expect(accounting.record('start', new Map([...reading(1)].slice(0, 300)))).toBe(true)
    expect(accounting.record('start', reading(2))).toBe(true)
    expect(accounting.record('start', reading(2))).toBe(false)

    const sum = clients.reduce((total, id) => total + id, 0)
    const all = (sql: string): unknown[] => db.prepare(sql).raw().all()
    expect(all('select client_id, up, down, last_active_at from client_traffics order by client_id')).toEqual(
      clients.map((id) => [id, 4 * id + (id === 10 ? 10 : 0), 8 * id, 5]),
    )
    expect(all('select inbound_id, up, down from inbound_traffics order by inbound_id')).toEqual([
      [1, 2 * sum + 6, 4 * sum],
      [2, 2 * sum, 4 * sum],
    ])
    expect(all('select tag, up, down from outbound_traffics')).toEqual([['direct', 14, 0]])
  })
})
