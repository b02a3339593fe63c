import Database from 'better-sqlite3'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore } from '#src/store/open.ts'

let template: Buffer | undefined
/** A new database as a release makes it, for in memory. Made once: it is the same every time. */
function emptyDatabase(): Buffer {
  if (template === undefined) {
    const db = openStore({ file: ':memory:', migrations: readMigrations('migrations'), now: 0 })
    template = db.serialize()
    db.close()
  }
  return template
}

/** A new database as a file that is in WAL mode already: to be brought into it costs a wait for the disk. */
export function emptyDatabaseFile(): Buffer {
  const file = Buffer.from(emptyDatabase())
  // The versions of the format a writer and a reader need (https://www.sqlite.org/fileformat.html): 2 is WAL.
  file.fill(2, 18, 20)
  return file
}

/** A server's, which also keeps in which order changes took effect, as often as they did. */
export function emptyServerDatabase(): Buffer {
  const db = new Database(emptyDatabase())
  db.exec(
    `create table test_effects (n integer primary key, key text);
     create trigger test_effect after update of status on applied_tasks when new.status = 'applied'
     begin insert into test_effects (key) values (new.key); end`,
  )
  const file = db.serialize()
  db.close()
  return file
}
