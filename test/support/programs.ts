import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundle } from '../../bundle.ts'

const root = join(import.meta.dirname, '../..')

/** What tests start as processes of their own, again and again. */
const programs = { fleetgram: 'src/main.ts', faulty: 'test/support/faulty-program.ts' }
export type ProgramName = keyof typeof programs

/** Where a program begins, which the whole run has been told by its environment. */
export const programFile = (name: ProgramName): string =>
  join(process.env['PROGRAMS_DIR'] ?? '', 'app', `${name}.mjs`)

/**
 * Makes the programs that tests start as they are shipped, bundled: from the sources each would take four times as long
 * to be up, and hundreds are started. Node keeps what it makes of them too; since a program that is killed keeps nothing,
 * all of it is loaded once in peace.
 * @returns what the run and its programs must find in their environment, and what removes it all
 */
export async function makePrograms(): Promise<{ env: Record<string, string>; remove: () => void }> {
  const dir = mkdtempSync(join(tmpdir(), 'programs-'))
  const env = { PROGRAMS_DIR: dir, NODE_COMPILE_CACHE: join(dir, 'compiled') }
  const app = join(dir, 'app')
  await bundle({ programs, into: app, isReadable: true })
  for (const file of ['package.json', 'migrations'])
    cpSync(join(root, file), join(dir, file), { recursive: true })
  // For the library that is not bundled.
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  const parts = readdirSync(app).filter((file) => !Object.keys(programs).includes(file.slice(0, -4)))
  const load = parts.map((file) => `await import('./${file}')`).join(';')
  execFileSync(process.execPath, ['--input-type=module', '--eval', load], {
    cwd: app,
    env: { ...process.env, ...env },
  })
  return { env, remove: () => rmSync(dir, { recursive: true, force: true }) }
}
