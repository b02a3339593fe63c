import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the system keeps its programs. Not PATH, which whoever starts us decides. */
const folders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'] as const

// A list of 100,000 sockets is 10 MB.
const maxOutputBytes = 64 * 1024 * 1024
const timeoutMs = 10_000

/** The path of a program of the system; null: it has none of that name. */
export async function findSystemProgram(name: string): Promise<string | null> {
  for (const folder of folders) {
    const path = join(folder, name)
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  return null
}

/**
 * Runs a program of the system, without a shell and with nothing of our environment.
 * @returns what it printed to standard output
 * @throws when it fails, or is not done in 10 s
 */
export function runSystemProgram(path: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { LC_ALL: 'C' }, timeout: timeoutMs, maxBuffer: maxOutputBytes }
    execFile(path, args, options, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
  })
}
