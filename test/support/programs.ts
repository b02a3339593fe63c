import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bundle } from '../../bundle.ts'

const root = join(import.meta.dirname, '../..')
const made = join(root, '.cache/programs')

/** What tests start as processes of their own, again and again. */
const programs = { fleetgram: 'src/main.ts', faulty: 'test/support/faulty-program.ts' }
export type ProgramName = keyof typeof programs

/** Where a program begins, once they have been made. */
export const programFile = (name: ProgramName): string => join(made, 'app', `${name}.mjs`)

/**
 * Makes the programs that tests start as they are shipped, bundled: from the sources each would take four times as long
 * to be up, and hundreds are started. Node keeps what it makes of them too; since a program that is killed keeps nothing,
 * one is ended in peace.
 * @returns what programs must find in their environment
 */
export async function makePrograms(): Promise<Record<string, string>> {
  const kept = { NODE_COMPILE_CACHE: join(root, '.cache/compiled') }
  rmSync(made, { recursive: true, force: true })
  await bundle({ programs, into: join(made, 'app'), isReadable: true })
  for (const file of ['package.json', 'migrations'])
    cpSync(join(root, file), join(made, file), { recursive: true })
  const parts = readdirSync(join(made, 'app')).filter(
    (file) => !Object.keys(programs).includes(file.slice(0, -4)),
  )
  const load = parts.map((file) => `await import('./${file}')`).join(';')
  execFileSync(process.execPath, ['--input-type=module', '--eval', load], {
    cwd: join(made, 'app'),
    env: { ...process.env, ...kept },
  })
  return kept
}
