import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Db, drizzleOver } from '#src/store/drizzle.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore } from '#src/store/open.ts'

const migrations = readMigrations(fileURLToPath(new URL('../../migrations', import.meta.url)))

/** A database in a file of its own, which can be left and opened again as by another process. */
export function createTempStore(now: number): { db(): Db; reopen(): Db; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'fleetgram-'))
  const open = (): Db => drizzleOver(openStore({ file: join(folder, 'test.db'), migrations, now }))
  let db = open()
  return {
    db: () => db,
    reopen: () => {
      db.$client.close()
      db = open()
      return db
    },
    remove: () => {
      db.$client.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
