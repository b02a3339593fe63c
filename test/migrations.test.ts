import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { getTableColumns, getTableName, is } from 'drizzle-orm'
import { SQLiteTable } from 'drizzle-orm/sqlite-core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Migration, migrate, readMigrations } from '#src/store/migrate.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'
import * as schema from '#src/store/schema.ts'

const NOW = 1_800_000_000_000
const root = join(import.meta.dirname, '..')
const folder = join(root, 'migrations')
const migrations = readMigrations(folder)
const tables = Object.values(schema).filter((each) => is(each, SQLiteTable))

let dir: string
let file: string
let db: Sqlite

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'migrations-'))
  file = join(dir, 'fleet.db')
  db = openStore({ file, migrations, now: NOW })
})
afterEach(() => {
  db.close()
  rmSync(dir, { recursive: true, force: true })
})

const names = (of: Sqlite): string[] =>
  of
    .prepare("select name from pragma_table_list where schema = 'main' and name not like 'sqlite%'")
    .pluck()
    .all() as string[]

/** How many rows each table holds. */
const counts = (of: Sqlite): Record<string, unknown> =>
  Object.fromEntries(
    names(of).map((name) => [name, of.prepare(`select count(*) from "${name}"`).pluck().get()]),
  )

interface Column {
  name: string
  type: string
  notnull: number
  dflt_value: string | null
  pk: number
}

/**
 * Three rows in every table, in the order in which tables refer to each other, whatever their columns are: a table
 * added later is filled too. Row n refers to row n of its parents.
 */
function populate(of: Sqlite): void {
  of.pragma('foreign_keys = OFF')
  for (const table of names(of).filter((name) => name !== 'schema_migrations')) {
    const columns = of.prepare(`select * from pragma_table_info('${table}')`).all() as Column[]
    const insert = of.prepare(
      `insert or replace into "${table}" (${columns.map(({ name }) => `"${name}"`).join()}) values (${columns.map(() => '?').join()})`,
    )
    for (const n of [1, 2, 3]) insert.run(columns.map((column) => valueFor(column, n)))
  }
  of.pragma('foreign_keys = ON')
  expect(of.pragma('foreign_key_check')).toEqual([])
}

function valueFor({ name, type }: Column, n: number): string | number {
  if (type === 'INTEGER') return name === 'enabled' ? 1 : n
  return ['kind', 'status', 'protocol', 'flow'].includes(name) ? 'a' : `${name} ${n}`
}

/** What drizzle-kit writes when a column of a table with children changes: the table is made anew, and renamed. */
function rebuild(table: string, of: Sqlite): Migration {
  const sql = of.prepare('select sql from sqlite_master where name = ?').pluck().get(table) as string
  const indexes = of
    .prepare("select sql from sqlite_master where type = 'index' and tbl_name = ? and sql is not null")
    .pluck()
    .all(table) as string[]
  return {
    index: migrations.length,
    name: `rebuild_${table}`,
    hash: 'rebuild',
    statements: [
      sql.replace(`\`${table}\``, `\`__new_${table}\``).replaceAll(`"${table}".`, `"__new_${table}".`),
      `insert into __new_${table} select * from ${table}`,
      `drop table ${table}`,
      `alter table __new_${table} rename to ${table}`,
      ...indexes,
    ],
  }
}

describe('the migrations', () => {
  it('make every table STRICT, with the columns the schema names', () => {
    const strict = db
      .prepare("select name, strict from pragma_table_list where schema = 'main' and name not like 'sqlite%'")
      .all() as { name: string; strict: number }[]
    expect(strict.filter((table) => table.strict !== 1)).toEqual([])
    expect(strict.length).toBe(tables.length + 1)
    for (const table of tables) {
      const columns = db
        .prepare(`select name from pragma_table_info('${getTableName(table)}')`)
        .pluck()
        .all()
      const expected = Object.values(getTableColumns(table)).map((column) => column.name)
      expect(new Set(columns), getTableName(table)).toEqual(new Set(expected))
    }
  })

  it('are what the schema asks for: nothing is left to generate', () => {
    const copy = join(dir, 'migrations')
    cpSync(folder, copy, { recursive: true })
    const kit = join(root, 'node_modules/drizzle-kit/bin.cjs')
    const config = ['--dialect=sqlite', '--schema=./src/store/schema.ts', '--casing=snake_case']
    // drizzle-kit takes a folder below the working directory only.
    cpSync(join(root, 'src'), join(dir, 'src'), {
      recursive: true,
      filter: (path) => !path.endsWith('.test.ts'),
    })
    cpSync(join(root, 'package.json'), join(dir, 'package.json'))
    symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
    const said = execFileSync(process.execPath, [kit, 'generate', ...config, '--out=./migrations'], {
      cwd: dir,
      encoding: 'utf8',
    })
    expect(said).toContain('No schema changes')
    expect(readdirSync(copy).toSorted()).toEqual(readdirSync(folder).toSorted())
  })

  it('have a row of a server go with it, but for the journal, which stays', () => {
    populate(db)
    db.prepare('delete from servers where id = 2').run()
    for (const table of names(db)) {
      const columns = db.prepare(`select name from pragma_table_info('${table}')`).pluck().all()
      if (!columns.includes('server_id') || table === 'server_tasks' || table === 'chats') continue
      expect(db.prepare(`select server_id from "${table}" order by 1`).pluck().all(), table).toEqual([1, 3])
    }
    expect(db.prepare('select server_id from server_tasks order by 1').pluck().all()).toEqual([1, 2, 3])
    expect(db.prepare('select server_id from chats order by 1').pluck().all()).toEqual([null, 1, 3])
  })

  it('give two servers the same tag and the same client name, but never one server twice', () => {
    const inbound = db.prepare(
      `insert into inbounds (server_id, id, tag, remark, protocol, listen, port, stream, sniffing, enabled,
         row_version, change_seq, created_at, updated_at)
       values (?, ?, 'vless-443', '', 'vless', '', 443, '{}', '{}', 1, 1, 1, 0, 0)`,
    )
    db.prepare(
      "insert into servers (id, name, name_key, kind, created_at, updated_at) values (2, 'b', 'b', 'agent', 0, 0)",
    ).run()
    inbound.run(1, 1)
    inbound.run(2, 1)
    expect(() => inbound.run(1, 2)).toThrow('UNIQUE')
  })
})

describe('a populated database', () => {
  it('is left as it is when opened again', () => {
    populate(db)
    const before = counts(db)
    db.close()
    db = openStore({ file, migrations, now: NOW + 1 })
    expect(counts(db)).toEqual(before)
  })

  it.each(['servers', 'clients', 'inbounds'])('keeps every child when %s is rebuilt', (table) => {
    populate(db)
    const before = { ...counts(db), schema_migrations: migrations.length + 1 }
    const next = [...migrations, rebuild(table, db)]
    db.close()
    const copies: string[] = []
    db = openStore({ file, migrations: next, now: NOW + 1, onBackup: (copy) => copies.push(copy) })
    expect(counts(db)).toEqual(before)
    expect(db.pragma('foreign_keys', { simple: true })).toBe(1)
    expect(copies).toHaveLength(1)
    // The keys still hold afterwards: they point at the new table, not at one that is gone.
    db.prepare('delete from servers where id = 3').run()
    expect(db.prepare('select count(*) from client_inbounds').pluck().get()).toBe(2)
  })

  it('would have lost them with foreign keys on: the reason they are off', () => {
    populate(db)
    const { statements } = rebuild('clients', db)
    db.transaction(() => {
      for (const statement of statements) db.exec(statement)
    })()
    expect(db.prepare('select count(*) from client_inbounds').pluck().get()).toBe(0)
  })

  it('is put back whole when a migration would leave rows that point to nothing', () => {
    populate(db)
    const before = counts(db)
    const careless: Migration = {
      index: migrations.length,
      name: 'careless',
      hash: 'x',
      statements: ['delete from clients where id = 1'],
    }
    expect(() => migrate(db, [...migrations, careless])).toThrow(
      expect.objectContaining({ code: 'DATABASE_BROKEN' }),
    )
    expect(counts(db)).toEqual(before)
    expect(db.pragma('foreign_keys', { simple: true })).toBe(1)
  })

  it('is migrated once when another process was quicker', () => {
    populate(db)
    const later: Migration = {
      index: migrations.length,
      name: 'later',
      hash: 'x',
      statements: ['alter table settings add column more text'],
    }
    const other = new Database(file)
    try {
      migrate(other, [...migrations, later])
      migrate(db, [...migrations, later])
    } finally {
      other.close()
    }
    expect(db.prepare('select count(*) from schema_migrations').pluck().get()).toBe(migrations.length + 1)
  })
})

describe('the journal of migrations', () => {
  it('names every file there is, in order', () => {
    expect(migrations.map(({ index }) => index)).toEqual(migrations.map((_, place) => place))
    const files = readdirSync(folder).filter((name) => name.endsWith('.sql'))
    expect(files.toSorted()).toEqual(migrations.map(({ name }) => `${name}.sql`).toSorted())
  })

  it('was made strict by the script, not by hand', () => {
    for (const { name } of migrations) {
      const sql = readFileSync(join(folder, `${name}.sql`), 'utf8')
      expect(sql.match(/^CREATE TABLE/gm)?.length ?? 0).toBe(sql.match(/^\) STRICT\b/gm)?.length ?? 0)
    }
  })
})
