/**
 * Nothing that comes with a file is believed: the database in a backup is looked at as if a stranger had made it,
 * before anything of it is read for use.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import Database from 'better-sqlite3'
import { z } from 'zod'
import { FleetError, fail, toFleetError } from '#src/errors.ts'
import { type Migration, migrate, pendingMigrations } from '#src/store/migrate.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { createLine } from './line.ts'
import { shapeAfter, shapeOf } from './shape.ts'
import { dependents, entities, quoted } from './tables.ts'

/** A copy that has passed, read-only. */
export interface CheckedCopy {
  db: Sqlite
  /** The last migration it had when it was made. */
  schema: string
  line: string | undefined
  /** Ids of the keys that sealed something in it. */
  keyIds: string[]
  position: { changeSeq: number; trafficSeq: number; nextId: number }
}

export function damaged(reason: string, cause?: unknown): never {
  fail('BACKUP_DAMAGED', { reason }, { cause })
}

/**
 * Opens the database of a backup once it is known to be sound, to have exactly the tables one of our releases made, and
 * brought to the present schema. The caller closes it.
 * @param release who made it, for the error
 * @throws FleetError BACKUP_DAMAGED, BACKUP_TOO_NEW
 */
export function openCopy(file: string, migrations: readonly Migration[], release: string): CheckedCopy {
  requirePlainFile(file)
  return sound(() => {
    const schema = bringUp(file, migrations, release)
    const db = new Database(file, { readonly: true, fileMustExist: true })
    try {
      guard(db)
      db.pragma('query_only = ON')
      return {
        db,
        schema,
        line: lineOf(db),
        keyIds: keyIdsIn(db),
        position: positionIn(db),
      }
    } catch (error) {
      db.close()
      throw error
    }
  })
}

/** What SQLite finds wrong with a file is the file's fault, unless the disk is full. */
export function sound<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    const coded = toFleetError(error, '')
    if (coded.code === 'SECRET_UNREADABLE') damaged('a secret in it cannot be opened', error)
    if (coded.code === 'INTERNAL') damaged('its database cannot be read', error)
    throw coded
  }
}

/** No write-ahead log: with one, opening it would read a second file, which is nobody's. */
function requirePlainFile(file: string): void {
  const head = Buffer.alloc(20)
  const handle = openSync(file, 'r')
  try {
    readSync(handle, head, 0, head.length, 0)
  } finally {
    closeSync(handle)
  }
  const isPlain = head.toString('latin1', 0, 16) === 'SQLite format 3\0' && head[18] === 1 && head[19] === 1
  if (!isPlain) damaged('there is no database in it')
}

/** Nothing that stands in the file's own schema is trusted to run. */
function guard(db: Sqlite): void {
  db.pragma('trusted_schema = OFF')
  db.pragma('cell_size_check = ON')
  db.pragma('mmap_size = 0')
}

/** @returns the name of the last migration it had */
function bringUp(file: string, migrations: readonly Migration[], release: string): string {
  const db = new Database(file, { fileMustExist: true })
  try {
    guard(db)
    db.pragma('journal_mode = OFF')
    const strange = db
      // What is computed has no page of its own: a view, a trigger, a virtual table.
      .prepare(
        "select type || ' ' || name from sqlite_master where type not in ('table', 'index') or rootpage = 0",
      )
      .pluck()
      .get() as string | undefined
    if (strange !== undefined) damaged(`it has a ${strange}`)
    const pending = pendingIn(db, migrations, release)
    const applied = migrations.filter((migration) => !pending.includes(migration))
    if (shapeOf(db) !== shapeAfter(applied)) damaged('its tables are not those of that release')
    const [check] = db.pragma('integrity_check(1)', { simple: false }) as { integrity_check: string }[]
    if (check?.integrity_check !== 'ok') damaged('its database is not whole')
    if ((db.pragma('foreign_key_check') as unknown[]).length > 0)
      damaged('it has rows that point to rows that are not there')
    if (pending.length > 0) migrate(db, migrations)
    return applied.at(-1)?.name ?? damaged('its database is empty')
  } finally {
    db.close()
  }
}

function pendingIn(db: Sqlite, migrations: readonly Migration[], release: string): Migration[] {
  try {
    return pendingMigrations(db, migrations)
  } catch (error) {
    if (error instanceof FleetError && error.code === 'DATABASE_TOO_NEW') fail('BACKUP_TOO_NEW', { release })
    return damaged('its tables are not ours', error)
  }
}

function lineOf(db: Sqlite): string | undefined {
  const line = createLine(db).read()
  return line === undefined || z.uuid().safeParse(line).success ? line : damaged('its name is none')
}

function keyIdsIn(db: Sqlite): string[] {
  const ids = [...entities, ...dependents].flatMap(({ table, sealed }) =>
    sealed.flatMap(
      (column) =>
        db
          .prepare(
            `select distinct substr(${quoted(column)}, 1, instr(${quoted(column)}, ':') - 1) from ${table}
             where server_id = ${LOCAL_SERVER_ID} and ${quoted(column)} is not null`,
          )
          .pluck()
          .all() as string[],
    ),
  )
  return [...new Set(ids)]
}

/** As far as a number can be counted on; beyond it the next would be the same. */
export const counter = z
  .number()
  .int()
  .nonnegative()
  .max(2 ** 52)
const positionRow = z.object({ changeSeq: counter, trafficSeq: counter, nextId: counter })

function positionIn(db: Sqlite): CheckedCopy['position'] {
  const row = db
    .prepare(
      `select change_seq as changeSeq, traffic_seq as trafficSeq, next_id as nextId from sync_states
       where server_id = ${LOCAL_SERVER_ID}`,
    )
    .get()
  const parsed = positionRow.safeParse(row)
  return parsed.success ? parsed.data : damaged('it does not say where its changes stand')
}
