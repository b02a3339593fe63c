/**
 * Makes every table of a freshly generated migration STRICT, and one whose key is no number of SQLite's own also
 * WITHOUT ROWID: its rows then lie in the index of their key, and a change writes fewer pages. drizzle-kit can say
 * neither. Run by `npm run migrations`; a landed migration is never touched again, running it twice changes nothing.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../../migrations')

for (const name of readdirSync(folder).filter((file) => file.endsWith('.sql'))) {
  const file = join(folder, name)
  const before = readFileSync(file, 'utf8')
  const after = before.replace(/^(CREATE TABLE [\s\S]*?\n)\);$/gm, (_, table: string) => {
    const keyedByNumber = /` integer PRIMARY KEY/.test(table)
    return `${table}) STRICT${keyedByNumber ? '' : ', WITHOUT ROWID'};`
  })
  if (after !== before) writeFileSync(file, after)
}
