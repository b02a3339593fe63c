import type { Sqlite } from './open.ts'

/** Calling SQLite costs about as much as writing a row: this many share a call. */
const ROWS_AT_ONCE = 100

type Field = string | number | null
export type Row = readonly Field[]

/**
 * Inserts any number of rows, inside the transaction of its caller. Each has a value for each of the columns.
 * @param onConflict what becomes of a row that is there already: `on conflict …`
 */
export function prepareInsertMany(
  db: Sqlite,
  { table, columns, onConflict }: { table: string; columns: readonly string[]; onConflict: string },
): (rows: readonly Row[]) => void {
  const values = `(${columns.map(() => '?').join()})`
  const insert = (rows: number) =>
    db.prepare(
      `insert into ${table} (${columns.join()}) values ${Array.from({ length: rows }, () => values).join()} ${onConflict}`,
    )
  const many = insert(ROWS_AT_ONCE)
  const one = insert(1)
  return (rows) => {
    const rest = rows.length % ROWS_AT_ONCE
    const params: Field[] = []
    for (let from = 0; from < rows.length - rest; from += ROWS_AT_ONCE) {
      let at = 0
      for (const row of rows.slice(from, from + ROWS_AT_ONCE)) for (const field of row) params[at++] = field
      many.run(params)
    }
    for (const row of rows.slice(rows.length - rest)) one.run(row)
  }
}
