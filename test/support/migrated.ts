import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { readMigrations } from '#src/store/migrate.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'

const migrations = readMigrations(fileURLToPath(new URL('../../migrations', import.meta.url)))

/** Makes databases in memory, each as new: migrated once, for tests that need thousands of them. */
export function migratedDatabases(): () => Sqlite {
  const db = openStore({ file: ':memory:', migrations, now: 0 })
  const bytes = db.serialize()
  db.close()
  return () => reopened(bytes)
}

/** A database as it was when its bytes were taken. */
export function reopened(bytes: Buffer): Sqlite {
  const db = new Database(bytes)
  db.pragma('foreign_keys = ON')
  return db
}
