import { beforeEach, describe, expect, test } from 'vitest'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore, type Sqlite } from '#src/store/open.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { createCertificateRows, createDeletedCertificates } from '../certificates/rows.ts'
import { createSnapshots } from './snapshot.ts'

/** Later than everything these tests write. */
const moved = { changeSeq: 50, trafficSeq: 60 }
const scope = { inbounds: [1], clients: [2] }

let db: Sqlite
let snapshots: ReturnType<typeof createSnapshots>

beforeEach(() => {
  db = openStore({ file: ':memory:', migrations: readMigrations('migrations'), now: 0 })
  db.exec(`
    insert into inbounds (server_id, id, tag, remark, protocol, listen, port, stream, sniffing, enabled, row_version,
      change_seq, created_at, updated_at) values (1, 1, 'in', '', 'vless', '::', 443, '{}', '{}', 1, 1, 1, 0, 0);
    insert into clients (server_id, id, email, email_key, credentials, flow, enabled, comment, row_version,
      change_seq, created_at, updated_at) values (1, 2, 'anna', 'anna', '', '', 1, '', 1, 1, 0, 0);
    insert into client_inbounds (server_id, client_id, inbound_id) values (1, 2, 1);
  `)
  snapshots = createSnapshots(db)
})

const count = (up: number, down: number): void => {
  db.prepare(
    `insert into client_traffics (server_id, client_id, up, down, traffic_seq, last_active_at)
     values (1, 2, @up, @down, 1, @up)
     on conflict do update set up = up + @up, down = down + @down, last_active_at = last_active_at + @up`,
  ).run({ up, down })
  db.prepare(
    `insert into inbound_traffics (server_id, inbound_id, up, down, traffic_seq) values (1, 1, @up, @down, 1)
     on conflict do update set up = up + @up, down = down + @down`,
  ).run({ up, down })
}
const traffic = (): unknown[] => [
  db.prepare('select up, down, reset_up, last_active_at, traffic_seq from client_traffics').get(),
  db.prepare('select up, down, traffic_seq from inbound_traffics').get(),
]

describe('taking a change back', () => {
  test('what was counted while Xray was being asked stays counted, and mirrors hear of it', () => {
    count(100, 10)
    const before = snapshots.take(scope)
    count(5, 1)
    snapshots.restore(before, moved)
    expect(traffic()).toEqual([
      { up: 105, down: 11, reset_up: 0, last_active_at: 105, traffic_seq: moved.trafficSeq },
      { up: 105, down: 11, traffic_seq: moved.trafficSeq },
    ])
  })

  test('so does what was counted for the first time', () => {
    const before = snapshots.take(scope)
    count(5, 1)
    snapshots.restore(before, moved)
    expect(traffic()).toEqual([
      { up: 5, down: 1, reset_up: 0, last_active_at: 5, traffic_seq: moved.trafficSeq },
      { up: 5, down: 1, traffic_seq: moved.trafficSeq },
    ])
  })

  test('a deletion gives the counters back, and a mirror that had forgotten them hears of them', () => {
    count(100, 10)
    const before = snapshots.take(scope)
    db.exec('delete from clients; delete from inbounds')
    snapshots.restore(before, moved)
    expect(traffic()).toEqual([
      { up: 100, down: 10, reset_up: 0, last_active_at: 100, traffic_seq: moved.trafficSeq },
      { up: 100, down: 10, traffic_seq: moved.trafficSeq },
    ])
    expect(db.prepare('select client_id, inbound_id from client_inbounds').all()).toEqual([
      { client_id: 2, inbound_id: 1 },
    ])
  })

  test('a reset is taken back too', () => {
    count(100, 10)
    const before = snapshots.take(scope)
    db.exec('update client_traffics set reset_up = up, reset_down = down')
    count(5, 1)
    snapshots.restore(before, moved)
    expect(traffic()[0]).toMatchObject({ up: 105, reset_up: 0 })
  })

  const seen = (address: string, at: number): void =>
    void db
      .prepare(
        `insert into inbound_client_ips (server_id, client_id, address, first_seen_at, last_seen_at)
         values (1, 2, @address, @at, @at) on conflict do update set last_seen_at = @at`,
      )
      .run({ address, at })
  const addresses = (): unknown =>
    db.prepare('select address, first_seen_at as first, last_seen_at as last from inbound_client_ips').all()

  test('a client keeps the addresses it was seen at, those of meanwhile too', () => {
    seen('192.0.2.1', 1)
    const before = snapshots.withoutPresent(snapshots.take(scope))
    expect(before.addresses).toEqual([])
    seen('192.0.2.1', 2)
    seen('192.0.2.2', 3)
    snapshots.restore(before, moved)
    expect(addresses()).toEqual([
      { address: '192.0.2.1', first: 1, last: 2 },
      { address: '192.0.2.2', first: 3, last: 3 },
    ])
  })

  test('one that was deleted gets them back', () => {
    seen('192.0.2.1', 1)
    const taken = snapshots.take(scope)
    db.exec('delete from clients')
    snapshots.restore(snapshots.withoutPresent(taken), moved)
    expect(addresses()).toEqual([{ address: '192.0.2.1', first: 1, last: 1 }])
  })

  test('an addition takes its addresses with it', () => {
    const nobody = snapshots.take({ inbounds: [], clients: [] })
    seen('192.0.2.1', 1)
    snapshots.restore({ ...nobody, scope }, moved)
    expect(addresses()).toEqual([])
  })

  test('an addition takes its counters with it', () => {
    const nobody = snapshots.take({ inbounds: [], clients: [] })
    count(5, 1)
    snapshots.restore({ ...nobody, scope }, moved)
    expect(traffic()).toEqual([undefined, undefined])
    expect(db.prepare('select kind, id, change_seq from tombstones order by kind').all()).toEqual([
      { kind: 'client', id: 2, change_seq: moved.changeSeq },
      { kind: 'inbound', id: 1, change_seq: moved.changeSeq },
    ])
  })

  test('a certificate that was deleted is there again, and what was deleted before it still is', () => {
    const rows = createCertificateRows(db, secretBoxFor(Buffer.alloc(32, 7)))
    const gone = createDeletedCertificates(db)
    const own = {
      challenge: null,
      directory: null,
      email: null,
      nextTryAt: null,
      lastError: null,
      failures: 0,
    }
    const times = { notBefore: 0, notAfter: 1, createdAt: 0, updatedAt: 0 }
    const more = { kind: 'imported', issuer: '', sha256: '', chain: '', key: 'k', autoRenew: false } as const
    const make = (domain: string): void => rows.save({ domain, ...own, ...times, ...more })
    make('here.example')
    gone.bury('gone.example', 5)
    const certificates = ['here.example', 'gone.example']
    const before = snapshots.take({ inbounds: [], clients: [], certificates })
    rows.remove('here.example', 9)
    make('gone.example')
    expect(gone.all()).toEqual([{ domain: 'here.example', deletedAt: 9 }])
    snapshots.restore(before, moved)
    expect(rows.all().map(({ domain }) => domain)).toEqual(['here.example'])
    expect(gone.all()).toEqual([{ domain: 'gone.example', deletedAt: 5 }])
  })
})
