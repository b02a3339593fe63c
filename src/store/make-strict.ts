/**
 * Makes every table of a freshly generated migration STRICT, which drizzle-kit cannot say. Run by
 * `npm run migrations`; a landed migration is never touched again, and running it twice changes nothing.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../../migrations')

for (const name of readdirSync(folder).filter((file) => file.endsWith('.sql'))) {
  const file = join(folder, name)
  const before = readFileSync(file, 'utf8')
  const after = before.replace(/^(CREATE TABLE [\s\S]*?\n)\);$/gm, '$1) STRICT;')
  if (after !== before) writeFileSync(file, after)
}
