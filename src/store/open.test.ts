import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Migration, readMigrations } from './migrate.ts'
import { LOCAL_SERVER_ID, type OpenOptions, type Sqlite, openStore } from './open.ts'

const NOW = 1_800_000_000_000
const migrations = readMigrations(join(import.meta.dirname, '../../migrations'))
/** One that a later release might bring. */
const later: Migration = {
  index: migrations.length,
  name: 'a_later_one',
  hash: 'abc',
  statements: ["alter table servers add column motto text not null default ''"],
}

let dir: string
let file: string
let open: Sqlite[]

const store = (options: Partial<OpenOptions> = {}): Sqlite => {
  const db = openStore({ file, migrations, now: NOW, ...options })
  open.push(db)
  return db
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'store-'))
  file = join(dir, 'deep', 'in', 'it', 'fleet.db')
  open = []
})
afterEach(() => {
  for (const db of open) db.close()
  rmSync(dir, { recursive: true, force: true })
})

describe('opening a database', () => {
  it('makes a new one, in a folder for its owner alone, holding the default server', () => {
    const db = store()
    expect(statSync(join(dir, 'deep')).mode & 0o777).toBe(0o700)
    expect(db.prepare('select id, name, kind, status, enabled from servers').all()).toEqual([
      { id: LOCAL_SERVER_ID, name: 'Default Local Server', kind: 'local', status: 'pending', enabled: 1 },
    ])
  })

  it('is for its owner alone, with all that lies beside it, whatever the folder is like', () => {
    file = join(dir, 'fleet.db')
    chmodSync(dir, 0o755)
    store().close()
    store({ migrations: [...migrations, later] })
    const modes = readdirSync(dir).map(
      (name) => `${name} ${(statSync(join(dir, name)).mode & 0o777).toString(8)}`,
    )
    const [backup] = readdirSync(dir).filter((name) => name.includes('.before-'))
    expect(modes.toSorted()).toEqual(
      ['fleet.db 600', 'fleet.db-shm 600', 'fleet.db-wal 600', `${backup} 600`].toSorted(),
    )
  })

  it('says where it cannot write, and who has to be let', () => {
    const path = (reason: RegExp) =>
      expect.objectContaining({
        code: 'DATA_UNWRITABLE',
        details: {
          path: expect.any(String),
          reason: expect.stringMatching(reason),
          user: process.getuid?.(),
        },
      })
    writeFileSync(join(dir, 'file'), '')
    expect(() => store({ file: join(dir, 'file', 'deep', 'fleet.db') })).toThrow(
      path(/is a file, not a folder/),
    )
    mkdirSync(join(dir, 'folder.db'))
    expect(() => store({ file: join(dir, 'folder.db') })).toThrow(path(/no file can be opened there/))
  })

  it('survives a power cut, and lets readers read while a change is written', () => {
    const db = store()
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal')
    expect(db.pragma('synchronous', { simple: true })).toBe(2)
    expect(db.pragma('foreign_keys', { simple: true })).toBe(1)
    expect(db.pragma('busy_timeout', { simple: true })).toBeGreaterThanOrEqual(1_000)
  })

  it('changes nothing the second time, and makes no copy', () => {
    const db = store()
    db.prepare("update servers set name = 'mine', name_key = 'mine' where id = 1").run()
    db.close()
    const copies: string[] = []
    const again = store({ now: NOW + 5_000, onBackup: (copy) => copies.push(copy) })
    expect(again.prepare('select name, created_at from servers').all()).toEqual([
      { name: 'mine', created_at: NOW },
    ])
    expect(again.prepare('select count(*) as n from schema_migrations').get()).toEqual({
      n: migrations.length,
    })
    expect(copies).toEqual([])
  })

  it('gives the id of a removed server to nobody else', () => {
    const db = store()
    const add = db.prepare(
      "insert into servers (name, name_key, kind, created_at, updated_at) values ('b', 'b', 'agent', 0, 0)",
    )
    const first = add.run().lastInsertRowid
    db.prepare('delete from servers where id = ?').run(first)
    expect(add.run().lastInsertRowid).not.toBe(first)
  })

  it('refuses one that a newer release has written, and leaves it as it is', () => {
    store({ migrations: [...migrations, later] }).close()
    expect(() => store()).toThrow(
      expect.objectContaining({
        code: 'DATABASE_TOO_NEW',
        message: expect.stringContaining('a_later_one') as string,
      }),
    )
    const db = store({ migrations: [...migrations, later] })
    expect(db.prepare('select motto from servers').all()).toEqual([{ motto: '' }])
  })

  it('refuses one whose migrations were not ours', () => {
    store({ migrations: migrations.map((each) => ({ ...each, hash: 'other' })) }).close()
    expect(() => store()).toThrow(expect.objectContaining({ code: 'DATABASE_BROKEN' }))
  })

  it('lets go of a file it could not open', () => {
    store().close()
    const broken: Migration = { ...later, statements: ['create table half (id integer) strict', 'nonsense'] }
    expect(() => store({ migrations: [...migrations, broken] })).toThrow('nonsense')
    const db = store()
    expect(db.prepare("select 1 from sqlite_master where name = 'half'").get()).toBeUndefined()
    expect(db.pragma('foreign_keys', { simple: true })).toBe(1)
  })
})

it('says of a file that is no database, or a damaged one, what to do', () => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, 'something else'.repeat(1_000))
  expect(() => store()).toThrow(expect.objectContaining({ code: 'DATABASE_BROKEN' }))
  rmSync(file)
  store().close()
  const content = readFileSync(file)
  writeFileSync(file, Buffer.concat([content.subarray(0, 100), Buffer.alloc(content.length - 100, 0x55)]))
  expect(() => store()).toThrow(expect.objectContaining({ code: 'DATABASE_BROKEN' }))
})

describe('before a migration', () => {
  it('copies the file, with what still stood in its log, and says where to', () => {
    const before = store()
    before.prepare("insert into settings (key, value) values ('fresh', 'in the log alone')").run()
    // Still open, as by a process that was killed: nothing has been written back into the file itself.
    const copies: string[] = []
    const after = store({
      migrations: [...migrations, later],
      now: NOW + 1,
      onBackup: (copy) => copies.push(copy),
    })
    expect(copies).toEqual([`${file}.before-${NOW + 1}`])
    const copy = new Database(copies[0], { readonly: true })
    open.push(copy)
    expect(copy.prepare('select value from settings').pluck().all()).toEqual(['in the log alone'])
    expect(copy.prepare("select name from pragma_table_info('servers')").pluck().all()).not.toContain('motto')
    expect(after.prepare("select name from pragma_table_info('servers')").pluck().all()).toContain('motto')
  })

  it('copies it whole while someone else is reading it', () => {
    const before = store()
    const reader = new Database(file)
    open.push(reader)
    reader.exec('begin')
    reader.prepare('select count(*) from settings').get()
    before.prepare("insert into settings (key, value) values ('late', 'after the reader began')").run()
    let copied = ''
    store({ migrations: [...migrations, later], onBackup: (to) => (copied = to) })
    const copy = new Database(copied, { readonly: true })
    open.push(copy)
    expect(copy.pragma('integrity_check', { simple: true })).toBe('ok')
    expect(copy.prepare('select value from settings').pluck().all()).toEqual(['after the reader began'])
  })

  it('makes no copy of a database that is only just being made', () => {
    store({ onBackup: () => expect.unreachable() })
    expect(existsSync(file)).toBe(true)
    expect(readdirSync(join(file, '..')).filter((name) => name.includes('before'))).toEqual([])
  })
})
