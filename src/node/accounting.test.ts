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

  test('counts an inbound as a whole where Xray knows no users of it, and only there', () => {
    const { db, restart, lifetime } = setup()
    const accounting = restart()
    const protocol = (name: string) => db.prepare('update inbounds set protocol = ?').run(name)
    const inbound = (tag: string, bytes: number) =>
      [`inbound>>>${tag}>>>traffic>>>downlink`, bytes] as [string, number]
    const readings = (): number => db.prepare('select count(*) from xray_counters').pluck().get() as number

    // Of one whose users are counted it would count every byte again; the API's own moves with each reading.
    expect(accounting.record('1', new Map([inbound('in-1', 500), inbound('api', 9)]))).toBe(false)
    expect(lifetime('inbound_traffics')).toEqual({ up: 0, down: 0 })
    expect(readings()).toBe(1)

    // Another inbound by the same tag: what was counted under it before is not its own.
    protocol('wireguard')
    expect(accounting.record('1', new Map([inbound('in-1', 700), inbound('api', 12)]))).toBe(true)
    expect(accounting.record('1', new Map([inbound('in-1', 700), inbound('api', 15)]))).toBe(false)
    expect(lifetime('inbound_traffics')).toEqual({ up: 0, down: 200 })

    protocol('tunnel')
    expect(accounting.record('2', new Map([inbound('in-1', 40)]))).toBe(true)
    expect(lifetime('inbound_traffics')).toEqual({ up: 0, down: 240 })
    expect(readings()).toBe(1)
    expect(db.prepare('select kind, subject, down from traffic_days').all()).toEqual([
      { kind: 'inbound', subject: '1', down: 240 },
    ])
  })
})
