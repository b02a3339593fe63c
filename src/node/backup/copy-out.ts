import Database from 'better-sqlite3'
import { type Migration, migrate } from '#src/store/migrate.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { createLine } from './line.ts'
import { columnsOf, copied, quoted } from './tables.ts'

/**
 * Copies this node's own rows, as of one moment, into a database of their own. Not the whole file: a controller's holds
 * the fleet's CA, the journal and every other server's rows, none of which a backup of this one may carry about.
 * Done in one go, and so while nothing else is: 10,000 clients take some 100 ms.
 * @param file is there, empty, and its owner's alone
 */
export function copyRows(db: Sqlite, file: string, migrations: readonly Migration[]): void {
  const made = new Database(file)
  // A copy that a crash cuts short is thrown away: nothing in it needs to be safe from one.
  made.pragma('journal_mode = OFF')
  made.pragma('synchronous = OFF')
  try {
    migrate(made, migrations)
  } finally {
    made.close()
  }
  const line = createLine(db).known()
  db.prepare('attach ? as backup').run(file)
  try {
    db.pragma('backup.journal_mode = OFF')
    db.pragma('backup.synchronous = OFF')
    db.transaction(() => {
      for (const table of copied) {
        const columns = columnsOf(db, table).map(quoted).join(', ')
        const own = table === 'servers' ? 'id' : 'server_id'
        db.prepare(
          `insert into backup.${quoted(table)} (${columns})
           select ${columns} from main.${quoted(table)} where ${own} = ${LOCAL_SERVER_ID}`,
        ).run()
      }
      createLine(db, 'backup').set(line)
    })()
  } finally {
    db.exec('detach backup')
  }
}
