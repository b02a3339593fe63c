import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FleetError } from '#src/errors.ts'
import type { Migration } from '#src/store/migrate.ts'
import type { Sqlite } from '#src/store/open.ts'
import { backupOf, restoreTo } from '#test/support/backup-files.ts'
import {
  type PaperNode,
  allMigrations,
  resealed,
  startPaperNode,
  tamperedWith,
} from '#test/support/paper-node.ts'

let it: PaperNode
let file: Buffer
// What is refused changes nothing, so one node will do for all.
beforeAll(async () => {
  it = await startPaperNode()
  await it.addInbound('main', 443)
  await it.addClients('main', 'anna', 'bert')
  it.db
    .prepare(
      'insert into client_traffics (server_id, client_id, up, down, traffic_seq) values (1, 2, 5, 6, 1)',
    )
    .run()
  file = await backupOf(it.node)
})
afterAll(() => it.stop())

const everything = (): unknown => [
  ...['inbounds', 'clients', 'client_inbounds', 'client_traffics', 'tombstones', 'sync_states'].map((table) =>
    it.db.prepare(`select * from ${table}`).all(),
  ),
  // What time it was is written down every minute, whatever happens.
  it.db.prepare("select * from settings where key <> 'time.seen'").all(),
]

/** Puts it back, which is refused, and changes nothing and leaves nothing. */
async function refusalOf(changed: Buffer): Promise<{ code: string; reason: unknown }> {
  const before = everything()
  const error: unknown = await restoreTo(it.node, changed).then(
    () => new Error('it was put back'),
    (refused: unknown) => refused,
  )
  expect(everything()).toEqual(before)
  const folder = join(it.dir, 'xray', 'backups')
  expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([])
  if (!(error instanceof FleetError)) throw error
  return { code: error.code, reason: error.details['reason'] }
}

describe('a database in a backup is refused', () => {
  const hostile: [string, (db: Sqlite) => void, RegExp][] = [
    [
      'with a trigger',
      (db) => db.exec('create trigger x after insert on clients begin delete from inbounds; end'),
      /trigger x/,
    ],
    ['with a view', (db) => db.exec('create view x as select * from clients'), /view x/],
    [
      'with a view in the place of a table',
      (db) => db.exec('drop table tombstones; create view tombstones as select 1 as server_id'),
      /view tombstones/,
    ],
    ['with a virtual table', (db) => db.exec('create virtual table x using fts5(a)'), /table x/],
    ['with another table', (db) => db.exec('create table x (a)'), /not those/],
    ['with a table less', (db) => db.exec('drop table outbound_traffics'), /not those/],
    ['with another column', (db) => db.exec('alter table clients add column x text'), /not those/],
    [
      'with a computed column',
      (db) => db.exec('alter table clients add column x text as (hex(email))'),
      /not those/,
    ],
    [
      'with an index on what is computed',
      (db) => db.exec('create index x on clients (lower(email))'),
      /not those/,
    ],
    [
      'with a table whose columns take anything',
      (db) =>
        db.exec(
          'create table y (id integer primary key, server_id integer not null) ; drop table tombstones; alter table y rename to tombstones',
        ),
      /not those/,
    ],
    ['with no migrations', (db) => db.exec('delete from schema_migrations'), /not those/],
    ['with migrations of its own', (db) => db.exec("update schema_migrations set hash = 'mine'"), /not ours/],
    [
      'with rows that point to nothing',
      (db) => db.exec('pragma foreign_keys = off; delete from inbounds'),
      /point to rows/,
    ],
    ['without a position', (db) => db.exec('delete from sync_states'), /where its changes stand/],
    [
      'whose ids would soon be at their end',
      (db) => db.exec('update sync_states set next_id = 9007199254740991'),
      /where its changes stand/,
    ],
    [
      'that buries what is no row of ours',
      (db) => db.exec("insert into tombstones values (1, 'admin', 1, 1)"),
      /buries/,
    ],
    [
      'whose name is none',
      (db) => db.exec("update settings set value = 'x' where key = 'backup.line'"),
      /its name/,
    ],
    ['with an id not given yet', (db) => db.exec('update sync_states set next_id = 2'), /client 2/],
    ['with a stream that is none', (db) => db.exec("update inbounds set stream = '{'"), /inbound 1/],
    ['with a stream of another kind', (db) => db.exec(`update inbounds set stream = '{"a":1}'`), /inbound 1/],
    ['with a tag that is none', (db) => db.exec(`update inbounds set tag = 'a"b'`), /inbound 1/],
    ['with an address that is none', (db) => db.exec(`update inbounds set listen = '/etc/x'`), /inbound 1/],
    [
      'with a name that takes two lines',
      (db) => db.exec(`update clients set email = 'a' || char(10) || 'b' where id = 2`),
      /client 2/,
    ],
    [
      'with a name that is compared as another',
      (db) => db.exec(`update clients set email_key = 'zoe' where id = 2`),
      /client 2/,
    ],
    [
      'with the secrets of another row',
      (db) =>
        db.exec(
          'update clients set credentials = (select credentials from clients where id = 3) where id = 2',
        ),
      /secret/,
    ],
    [
      'with a negative counter',
      (db) => db.exec('update client_traffics set up = -1'),
      /number in client_traffics/,
    ],
    [
      'with a counter that JSON cannot carry',
      (db) => db.exec('update client_traffics set up = 9007199254740993'),
      /number in client_traffics/,
    ],
    [
      'with more taken away than there was',
      (db) => db.exec('update client_traffics set reset_up = 6'),
      /number in client_traffics/,
    ],
    [
      'with a certificate whose file would lie elsewhere',
      (db) =>
        db.exec(
          `insert into certificates (server_id, domain, kind, issuer, not_before, not_after, sha256, chain, key,
             auto_renew, created_at, updated_at)
           select 1, '../../x', 'imported', '', 0, 0, '${'0'.repeat(64)}', '', credentials, 0, 0, 0 from clients limit 1`,
        ),
      /a certificate/,
    ],
    [
      'with rules that are something else',
      (db) => db.exec(`insert into routings select 1, credentials, 1, 0 from clients limit 1`),
      /secret/,
    ],
    [
      'with a deleted certificate that can be none',
      (db) => db.exec(`insert into deleted_certificates values (1, '../../x', 0)`),
      /buries/,
    ],
  ]

  test.each(hostile)('%s', async (_what, change, reason) => {
    const { code, reason: words } = await refusalOf(await tamperedWith(file, change))
    expect(code).toBe('BACKUP_DAMAGED')
    expect(words).toMatch(reason)
  })

  test.each<[string, (content: Buffer) => Buffer]>([
    ['that is empty', () => Buffer.alloc(0)],
    ['that is another kind of file', () => Buffer.from('PK'.repeat(500))],
    ['that wants a log beside it', (content) => content.fill(2, 18, 20)],
    ['that is cut short', (content) => content.subarray(0, content.length - 8_192)],
    [
      'whose pages were mixed up',
      (content) =>
        Buffer.concat([
          content.subarray(0, 8_192),
          content.subarray(12_288),
          content.subarray(8_192, 12_288),
        ]),
    ],
    ['whose schema is noise', (content) => content.fill('create table', 100, 4_096)],
  ])('%s', async (_what, change) => {
    expect(await refusalOf(await resealed(file, change))).toMatchObject({ code: 'BACKUP_DAMAGED' })
  })

  test('that a newer release has made', async () => {
    const newer: Migration = {
      index: allMigrations.length,
      name: 'a_later_one',
      hash: 'abc',
      statements: ["alter table clients add column motto text not null default 'none'"],
    }
    const later = await startPaperNode({ migrations: [...allMigrations, newer], version: '9.0.0' })
    try {
      await later.addInbound('later', 444)
      expect(await refusalOf(await backupOf(later.node))).toEqual({
        code: 'BACKUP_TOO_NEW',
        reason: undefined,
      })
      // And the other way round: what an older one has made is brought up to date.
      expect(await restoreTo(later.node, file)).toMatchObject({
        schema: allMigrations.at(-1)?.name,
        clients: { restored: 2, kept: 0 },
        inbounds: { restored: 1, kept: 1 },
      })
      expect(later.db.prepare('select email, motto from clients order by id').all()).toEqual([
        { email: 'anna', motto: 'none' },
        { email: 'bert', motto: 'none' },
      ])
    } finally {
      await later.stop()
    }
  })
})

test('the file holds the rows of its server and nothing else of the database', async () => {
  it.db.exec(`
    insert into servers (id, name, name_key, kind, created_at, updated_at) values (2, 'b', 'b', 'agent', 0, 0);
    insert into settings values ('ca', 'a key');
    insert into inbounds (server_id, id, tag, remark, protocol, listen, port, stream, sniffing, enabled, row_version,
        change_seq, created_at, updated_at)
      select 2, id, tag, remark, protocol, listen, port, stream, sniffing, enabled, row_version, change_seq,
        created_at, updated_at from inbounds where server_id = 1;
  `)
  const seen: unknown[] = []
  await tamperedWith(await backupOf(it.node), (db) => {
    const tables = db
      .prepare("select name from pragma_table_list where schema = 'main' and type = 'table'")
      .pluck()
      .all() as string[]
    for (const table of tables) {
      const count = db.prepare(`select count(*) from "${table}"`).pluck().get()
      if (count !== 0 && !table.startsWith('sqlite')) seen.push([table, count])
    }
    seen.push(db.prepare('select key from settings').pluck().all())
  })
  expect(seen).toEqual(
    expect.arrayContaining([
      ['servers', 1],
      ['inbounds', 1],
      ['clients', 2],
      ['client_inbounds', 2],
      ['client_traffics', 1],
      ['sync_states', 1],
      ['settings', 1],
      ['schema_migrations', allMigrations.length],
      ['backup.line'],
    ]),
  )
  expect(seen).toHaveLength(9)
})
