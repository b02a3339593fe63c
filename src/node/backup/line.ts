import { randomUUID } from 'node:crypto'
import type { Sqlite } from '#src/store/open.ts'

const KEY = 'backup.line'

/**
 * Names the line of databases in which an id means one row for ever: this database and every copy of it. In another
 * line the same id is another row, as on a machine that was set up anew.
 */
export function createLine(db: Sqlite, schema: 'main' | 'backup' = 'main') {
  const get = db.prepare(`select value from ${schema}.settings where key = ?`).pluck()
  const put = db.prepare(
    `insert into ${schema}.settings (key, value) values (?, ?)
     on conflict (key) do update set value = excluded.value`,
  )
  const set = (line: string): void => void put.run(KEY, line)
  const read = (): string | undefined => get.get(KEY) as string | undefined
  return {
    read,
    set,
    /** This line, named now if it has no name yet. */
    known(): string {
      const line = read()
      if (line !== undefined) return line
      const made = randomUUID()
      set(made)
      return made
    },
  }
}
