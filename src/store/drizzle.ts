import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3'
import type { Sqlite } from './open.ts'
import * as schema from './schema.ts'

/** The controller's typed view of the database. Agents stay with prepared statements: it would double their memory. */
export type Db = BetterSQLite3Database<typeof schema> & { $client: Sqlite }

export function drizzleOver(sqlite: Sqlite): Db {
  return drizzle(sqlite, { schema })
}

export * as tables from './schema.ts'
