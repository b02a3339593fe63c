import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Sqlite } from '#src/store/open.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { createPosition } from '../rows/position.ts'
import { putDependent } from './put-dependent.ts'
import { createResealing } from './reseal.ts'
import type { Dependent } from './tables.ts'

// A table as one might be added: named by a text, with a secret, of which the newer is the one to keep.
const table = `create table papers (server_id integer, domain text, owner_id integer, key text, not_after integer,
  change_seq integer, updated_at integer, primary key (server_id, domain)) strict`
const papers: Dependent = {
  table: 'papers',
  key: ['domain'],
  refers: { owner_id: 'client' },
  sealed: ['key'],
  merge: { newer: 'not_after' },
}
const [ours, theirs] = [secretBoxFor(Buffer.alloc(32, 1)), secretBoxFor(Buffer.alloc(32, 2))]

let [db, copy]: [Sqlite, Sqlite] = [new Database(':memory:'), new Database(':memory:')]
beforeEach(() => {
  ;[db, copy] = [new Database(':memory:'), new Database(':memory:')]
  db.exec(`${table}; create table sync_states (server_id integer primary key, epoch text, change_seq integer,
    traffic_seq integer, next_id integer)`)
  copy.exec(table)
})
afterEach(() => {
  db.close()
  copy.close()
})

const add = (of: Sqlite, domain: string, owner: number, notAfter: number): void => {
  const box = of === db ? ours : theirs
  const key = box.seal(`${domain} until ${notAfter}`, `papers:1:${domain}:key`)
  of.prepare('insert into papers values (1, ?, ?, ?, ?, 0, 0)').run(domain, owner, key, notAfter)
}

test('rows of a table of their own: the newer stays, secrets are sealed here, owners have their ids here', () => {
  add(copy, 'new.example', 1, 10)
  add(copy, 'later-there.example', 1, 10)
  add(copy, 'later-here.example', 1, 10)
  add(copy, 'left-out.example', 2, 10)
  add(db, 'later-there.example', 7, 5)
  add(db, 'later-here.example', 7, 20)
  putDependent(
    {
      db,
      copy,
      position: createPosition(db, () => 'e'),
      ids: { client: new Map([[1, 7]]), inbound: new Map() },
      changeSeq: 9,
      trafficSeq: 9,
      now: 1_000,
      resealing: createResealing(ours, theirs),
    },
    papers,
  )
  const rows = db.prepare('select * from papers order by domain').all() as {
    domain: string
    key: string
    change_seq: number
  }[]
  expect(
    rows.map(({ domain, key, ...rest }) => [domain, ours.open(key, `papers:1:${domain}:key`), rest]),
  ).toEqual([
    [
      'later-here.example',
      'later-here.example until 20',
      { server_id: 1, owner_id: 7, not_after: 20, change_seq: 0, updated_at: 0 },
    ],
    [
      'later-there.example',
      'later-there.example until 10',
      { server_id: 1, owner_id: 7, not_after: 10, change_seq: 9, updated_at: 1_000 },
    ],
    [
      'new.example',
      'new.example until 10',
      { server_id: 1, owner_id: 7, not_after: 10, change_seq: 9, updated_at: 1_000 },
    ],
  ])
})
