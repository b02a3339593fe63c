import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '#src/errors.ts'
import type { Sqlite } from './open.ts'

/** One landed migration: its place in the order, its name, its statements and the SHA-256 of their text. */
export interface Migration {
  index: number
  name: string
  hash: string
  statements: readonly string[]
}

interface Journal {
  entries: { idx: number; tag: string }[]
}

/** Reads drizzle-kit's folder. drizzle's own migrator would pull drizzle into the agent, which has no other use for it. */
export function readMigrations(folder: string): Migration[] {
  const journal = JSON.parse(readFileSync(join(folder, 'meta/_journal.json'), 'utf8')) as Journal
  return journal.entries.map(({ idx, tag }) => {
    const sql = readFileSync(join(folder, `${tag}.sql`), 'utf8')
    return {
      index: idx,
      name: tag,
      hash: createHash('sha256').update(sql).digest('hex'),
      statements: sql
        .split('--> statement-breakpoint')
        .map((statement) => statement.trim())
        .filter(Boolean),
    }
  })
}

/**
 * What this release would still apply.
 * @throws FleetError DATABASE_TOO_NEW, DATABASE_BROKEN
 */
export function pendingMigrations(db: Sqlite, migrations: readonly Migration[]): Migration[] {
  const applied = appliedMigrations(db)
  for (const row of applied) {
    const known = migrations.find((migration) => migration.index === row.idx)
    if (known === undefined) fail('DATABASE_TOO_NEW', { migration: row.name })
    if (known.hash !== row.hash)
      fail('DATABASE_BROKEN', { reason: `migration ${row.name} is not the one that was applied` })
  }
  return migrations.filter((migration) => !applied.some((row) => row.idx === migration.index))
}

/**
 * Applies what is missing, all of it or nothing. Foreign keys are off meanwhile, since rebuilding a table inside a
 * transaction with keys on silently deletes its children; a check of every key before the commit takes their place.
 */
export function migrate(db: Sqlite, migrations: readonly Migration[]): void {
  db.pragma('foreign_keys = OFF')
  try {
    db.transaction(() => {
      db.exec(
        'create table if not exists schema_migrations (idx integer primary key, name text not null, hash text not null) strict',
      )
      const record = db.prepare('insert into schema_migrations (idx, name, hash) values (?, ?, ?)')
      // Looked up inside the transaction: another process may have migrated since.
      for (const migration of pendingMigrations(db, migrations)) {
        for (const statement of migration.statements) db.exec(statement)
        record.run(migration.index, migration.name, migration.hash)
      }
      const broken = db.pragma('foreign_key_check') as unknown[]
      if (broken.length > 0)
        fail('DATABASE_BROKEN', { reason: `${broken.length} rows point to rows that are gone` })
    }).immediate()
  } finally {
    db.pragma('foreign_keys = ON')
  }
}

function appliedMigrations(db: Sqlite): { idx: number; name: string; hash: string }[] {
  const exists = db.prepare("select 1 from sqlite_master where name = 'schema_migrations'").get()
  if (exists === undefined) return []
  return db.prepare('select idx, name, hash from schema_migrations order by idx').all() as {
    idx: number
    name: string
    hash: string
  }[]
}
