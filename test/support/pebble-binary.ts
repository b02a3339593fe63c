import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { promisify } from 'node:util'

/** Let's Encrypt's small certificate authority for tests, as a Go module, whose checksum Go verifies. */
const version = 'v2.10.1'
const goPackage = `github.com/letsencrypt/pebble/v2/cmd/pebble@${version}`
// Compiling it takes a minute on two cores.
const goTimeoutMs = 10 * 60 * 1000

/** The Pebble all tests run against, found by the global setup. */
export function pebbleBinary(): string {
  const path = process.env['PEBBLE_BIN']
  if (path === undefined)
    throw new Error('PEBBLE_BIN is not set: tests are run by vitest, whose setup finds Pebble')
  return path
}

/** Its path: `PEBBLE_BIN`, else on PATH, else in the cache, else built into it by Go. Any number of runs may do this at once. */
export async function findPebble(env: NodeJS.ProcessEnv, cacheDir: string): Promise<string> {
  const named = env['PEBBLE_BIN']
  if (named !== undefined && named !== '') return resolve(named)
  const cached = join(cacheDir, `pebble-${version}`, 'pebble')
  for (const path of [await onPath('pebble', env), cached]) {
    if (path !== null && (await isProgram(path))) return path
  }
  const go = await onPath('go', env)
  if (go === null) throw new Error('there is no Pebble: set PEBBLE_BIN, or put Go on PATH to build it')
  console.log(`Building Pebble ${version}`)
  await mkdir(dirname(cached), { recursive: true })
  // Beside its place, since a move is one step only within a file system.
  const folder = await mkdtemp(join(dirname(cached), 'new-'))
  try {
    await promisify(execFile)(go, ['install', '-trimpath', '-ldflags=-s -w', goPackage], {
      timeout: goTimeoutMs,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...env, GOBIN: folder, CGO_ENABLED: '0' },
    })
    await rename(join(folder, 'pebble'), cached)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return cached
}

async function onPath(name: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    if (isAbsolute(folder) && (await isProgram(join(folder, name)))) return join(folder, name)
  }
  return null
}

function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
