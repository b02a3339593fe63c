import { closeSync, existsSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { fail } from '#src/errors.ts'
import { openDataFolder, refuseUnwritable } from './data-folder.ts'
import { type Migration, migrate, pendingMigrations } from './migrate.ts'

export type Sqlite = Database.Database

/** The id under which a node sees itself, and the controller its own machine. */
export const LOCAL_SERVER_ID = 1

export interface OpenOptions {
  /** Path of the file, or ':memory:'. */
  file: string
  migrations: readonly Migration[]
  /** ms since the epoch; stamps the default server and the name of the copy made before a migration. */
  now: number
  /** The name of the copy a migration leaves behind is reported here. */
  onBackup?: (file: string) => void
}

/**
 * Opens (and if need be creates and migrates) a database. WAL lets screens read while a change is written;
 * synchronous FULL makes a commit survive a power cut, at a write rate where that costs nothing.
 * @throws FleetError DATABASE_TOO_NEW when a newer release has written it, DATABASE_BROKEN when it cannot be read,
 *   DATA_UNWRITABLE when it cannot be written to.
 */
export function openStore(options: OpenOptions): Sqlite {
  const isFile = options.file !== ':memory:'
  if (isFile) openDataFolder(dirname(options.file))
  const existed = isFile && existsSync(options.file)
  let db: Sqlite | undefined
  try {
    if (isFile && !existed) makePrivate(options.file)
    db = new Database(options.file)
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('busy_timeout = 5000')
    // kB. The driver's own 16 MB would be a sixth of an agent's memory, for what the kernel keeps at hand anyway:
    // no figure of bench/ differs.
    db.pragma('cache_size = -2000')
    if (existed && pendingMigrations(db, options.migrations).length > 0) {
      const copy = `${options.file}.before-${options.now}`
      makePrivate(copy)
      // Not a copy of the file: a reader keeps part of the data in the write-ahead log, where it would be left behind.
      db.prepare('vacuum into ?').run(copy)
      options.onBackup?.(copy)
    }
    migrate(db, options.migrations)
    ensureLocalServer(db, options.now)
    return db
  } catch (error) {
    db?.close()
    refuseUnwritable(options.file, error)
    if (isNoDatabase(error)) fail('DATABASE_BROKEN', { reason: error.message }, { cause: error })
    throw error
  }
}

/** An empty file for its owner alone, whatever the folder is like. SQLite gives what it puts beside it the same mode. */
function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600))
}

/**
 * Commits that survive every end of this process at once, and a power cut only together with the next commit, which
 * takes them to the disk with it: half of what a change waits for is the disk. For what nobody is told of before that.
 * (https://www.sqlite.org/pragma.html#pragma_synchronous: in WAL mode NORMAL loses no more than durability.)
 */
export function withNextCommit<T>(db: Sqlite, work: () => T): T {
  db.pragma('synchronous = NORMAL')
  try {
    return work()
  } finally {
    db.pragma('synchronous = FULL')
  }
}

/** Another kind of file, or one that is damaged. */
function isNoDatabase(error: unknown): error is Error {
  return error instanceof Database.SqliteError && /^SQLITE_(?:NOTADB|CORRUPT)/.test(error.code)
}

function ensureLocalServer(db: Sqlite, now: number): void {
  db.prepare(
    `insert into servers (id, name, name_key, kind, status, created_at, updated_at)
     values (?, 'Default Local Server', 'default local server', 'local', 'pending', ?, ?)
     on conflict (id) do nothing`,
  ).run(LOCAL_SERVER_ID, now, now)
}
