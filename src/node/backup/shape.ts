import Database from 'better-sqlite3'
import { type Migration, migrate } from '#src/store/migrate.ts'
import type { Sqlite } from '#src/store/open.ts'

/** Everything about tables and indexes that decides what a row of them is. The words they were made with may differ. */
export function shapeOf(db: Sqlite): string {
  const tables = db
    .prepare(
      "select name, type, wr, strict from pragma_table_list where schema = 'main' and name not like 'sqlite\\_%' escape '\\' order by name",
    )
    .all() as { name: string }[]
  const columns = db.prepare('select name, type, "notnull", pk, hidden from pragma_table_xinfo(?)')
  const indexes = db.prepare(
    `select l.name, l."unique", l.partial, i.seqno, i.cid, i.name as "column", i.coll from pragma_index_list(?) l
     join pragma_index_xinfo(l.name) i order by l.name, i.seqno`,
  )
  return JSON.stringify(tables.map((table) => [table, columns.all(table.name), indexes.all(table.name)]))
}

/** The shape of a database that has had these migrations and nothing else. */
export function shapeAfter(migrations: readonly Migration[]): string {
  const db = new Database(':memory:')
  try {
    migrate(db, migrations)
    return shapeOf(db)
  } finally {
    db.close()
  }
}
