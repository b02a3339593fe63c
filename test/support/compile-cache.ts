import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/**
 * Lets Node keep what it makes of our sources, for all the programs that tests start: each is up in two thirds of the
 * time, and hundreds are started. A program that is killed keeps nothing, so the first one is ended in peace.
 * @param cacheDir where it is kept from one run to the next; Node tells by itself what is out of date
 * @returns how programs are told of it
 */
export function keepCompiled(cacheDir: string): string {
  const folder = join(cacheDir, 'compiled')
  if (!existsSync(folder)) {
    const load = "await import('./src/controller.ts'); await import('./src/agent.ts')"
    execFileSync(process.execPath, ['--input-type=module', '--eval', load], {
      cwd: root,
      env: { ...process.env, NODE_COMPILE_CACHE: folder },
    })
  }
  return folder
}
