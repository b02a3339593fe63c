import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, chmod, mkdir, mkdtemp, open, rename, rm, stat } from 'node:fs/promises'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { fail } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import { lastMeaningfulLine, runXray, xrayEnvironment } from './command.ts'
import type { Download } from './release.ts'

/**
 * The Xray that is fetched when none is there: the one every test here runs against. Later ones rename fields and
 * block private targets by default, so moving on is a change with its own tests.
 */
export const pinnedXrayVersion = '26.3.27'

/** The same release as a Go module, whose checksum Go verifies by its public checksum database. */
const goPackage = 'github.com/xtls/xray-core/main@v1.260327.0'

// Compiling Xray takes 3 to 4 minutes on two cores.
const goTimeoutMs = 15 * 60 * 1000

export interface FindXrayOptions {
  env: NodeJS.ProcessEnv
  /**
   * Where a fetched binary is kept, as `xray-<version>/xray`. Of several, all are looked into, and the first that can
   * be written to is fetched into.
   */
  cacheDir: string | readonly string[]
  log: Log
  /** How files come from the internet; HTTPS unless told. */
  download?: Download
}

/**
 * The path of an Xray to run: `XRAY_BIN`, else on PATH, else in the cache, else fetched into it: the official release,
 * or built by a Go toolchain where GitHub's downloads cannot be reached. Any number of processes may do this at once.
 * @throws XRAY_NOT_FOUND with what was tried
 */
export async function findXray(options: FindXrayOptions): Promise<string> {
  const { env, cacheDir, log } = options
  const named = env['XRAY_BIN']
  if (named !== undefined && named !== '') {
    const path = resolve(named)
    return (await isProgram(path))
      ? path
      : fail('XRAY_NOT_FOUND', { reason: `XRAY_BIN names ${path}, which is no program` })
  }
  const installed = await onPath('xray', env)
  if (installed !== null) return installed
  const places = [cacheDir].flat().map((dir) => join(resolve(dir), `xray-${pinnedXrayVersion}`, 'xray'))
  for (const place of places) if (await isProgram(place)) return place

  const cached = await firstWritable(places)
  const reasons: string[] = []
  for (const [name, fetchInto] of [
    ['the release', fetchRelease],
    ['a Go build', buildWithGo],
  ] as const) {
    try {
      log.info({ version: pinnedXrayVersion }, `Fetching Xray as ${name}`)
      await installAtomically(cached, (folder) => fetchInto(folder, options))
      return cached
    } catch (error) {
      const reason = error instanceof Error ? reasonOf(error) : String(error)
      log.warn({ reason }, `Fetching Xray as ${name} failed`)
      reasons.push(`${name}: ${reason}`)
    }
  }
  return fail('XRAY_NOT_FOUND', { reason: reasons.join('; ') })
}

/** The version a binary says it is, like `26.3.27`. @throws XRAY_NOT_FOUND when it is no Xray */
export async function xrayVersion(binary: string): Promise<string> {
  const { exitCode, output } = await runXray(binary, ['version'])
  const version = exitCode === 0 ? /^Xray (\S+)/m.exec(output)?.[1] : undefined
  return version ?? fail('XRAY_NOT_FOUND', { reason: `${binary} is no Xray: ${lastMeaningfulLine(output)}` })
}

async function fetchRelease(folder: string, { download }: FindXrayOptions): Promise<string> {
  // Loaded when it is needed: its HTTP client would take an agent megabytes for something done once.
  const { downloadByHttps, downloadRelease } = await import('./release.ts')
  const path = join(folder, 'xray')
  const file = await open(path, 'wx', 0o755)
  try {
    await file.writeFile(await downloadRelease(pinnedXrayVersion, download ?? downloadByHttps))
    await file.sync()
  } finally {
    await file.close()
  }
  return path
}

async function buildWithGo(folder: string, { env }: FindXrayOptions): Promise<string> {
  const go = await onPath('go', env)
  if (go === null) throw new Error('there is no Go toolchain on PATH')
  await promisify(execFile)(go, ['install', '-trimpath', '-ldflags=-s -w', goPackage], {
    timeout: goTimeoutMs,
    maxBuffer: 16 * 1024 * 1024,
    env: { ...xrayEnvironment(env), ...proxiesOf(env), GOBIN: folder, CGO_ENABLED: '0' },
  })
  // Go names the program after its package.
  return join(folder, 'main')
}

/** The first place whose folder is there, or could be made, and lets us in. */
async function firstWritable(places: readonly string[]): Promise<string> {
  const reasons: string[] = []
  for (const place of places) {
    try {
      await mkdir(dirname(place), { recursive: true })
      await access(dirname(place), constants.W_OK)
      return place
    } catch (error) {
      reasons.push((error as Error).message)
    }
  }
  return fail('XRAY_NOT_FOUND', { reason: reasons.join('; ') })
}

/** Lets `make` put a program into a folder of its own, checks it, and only then moves it to `target` in one step. */
async function installAtomically(target: string, make: (folder: string) => Promise<string>): Promise<void> {
  const home = dirname(target)
  // Beside the target, since a move is one step only within a file system.
  const folder = await mkdtemp(join(home, 'new-'))
  try {
    const made = await make(folder)
    await chmod(made, 0o755)
    const version = await xrayVersion(made)
    if (version !== pinnedXrayVersion) throw new Error(`it is version ${version}, not ${pinnedXrayVersion}`)
    await rename(made, target)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function onPath(name: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    // A relative entry would run whatever lies in the folder we happen to be started in.
    if (isAbsolute(folder) && (await isProgram(join(folder, name)))) return join(folder, name)
  }
  return null
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

function proxiesOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(https?|no)_proxy$/i.test(name)))
}

// fetch says only "fetch failed"; what failed is its cause.
function reasonOf(error: Error): string {
  const deepest = error.cause instanceof Error ? error.cause : error
  return (deepest.message === '' ? deepest.name : deepest.message).split('\n').slice(0, 3).join(' ')
}
