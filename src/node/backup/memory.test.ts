import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { BackupMemory } from '#test/support/backup-memory.ts'

const program = join(import.meta.dirname, '../../../test/support/backup-memory.ts')
const MB = 1024 * 1024

test('a backup of 50 MB does not take 50 MB of memory', { timeout: 120_000 }, async () => {
  // As dist/fleetgram starts it: what Node lets lie on a machine with much memory is another matter.
  const flags = ['--max-old-space-size=160', '--max-semi-space-size=1', '--optimize-for-size', '--expose-gc']
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, '110000'])
  const { database, file, grown } = JSON.parse(stdout) as BackupMemory
  expect(database).toBeGreaterThan(50 * MB)
  expect(file).toBeGreaterThan(45 * MB)
  // 32 MB of it are the passphrase's, see format.ts.
  expect(grown).toBeLessThan(45 * MB)
})
