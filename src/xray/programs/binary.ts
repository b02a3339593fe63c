import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { fail } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import { xrayEnvironment } from './command.ts'
import { type Download, downloadByHttps, reasonOf } from './download.ts'
import { installAtomically, makeFromRelease } from './install.ts'
import { isProgram } from './program.ts'
import { programPath } from './programs.ts'

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
  /** The one an admin has chosen, if any. */
  chosen?: string | null
  /**
   * Where a fetched binary is kept, as `xray-<version>/xray`. Of several, all are looked into, and the first that can
   * be written to is fetched into.
   */
  cacheDir: string | readonly string[]
  log: Log
  /** How files come from the internet; HTTPS unless told. */
  download?: Download
}

/** Whether the environment names the Xray to run, so that no other may take its place. */
export function isXrayPinned(env: NodeJS.ProcessEnv): boolean {
  return env['XRAY_BIN'] !== undefined && env['XRAY_BIN'] !== ''
}

/**
 * The path of an Xray to run: `XRAY_BIN`, else the chosen one, else on PATH, else in the cache, else fetched into it:
 * the official release, or built by a Go toolchain where GitHub's downloads cannot be reached. Any number of processes
 * may do this at once.
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
  if (typeof options.chosen === 'string') {
    if (await isProgram(options.chosen)) return options.chosen
    log.warn({ binary: options.chosen }, 'The Xray that was installed is not there any more')
  }
  const installed = await onPath('xray', env)
  if (installed !== null) return installed
  const places = [cacheDir].flat().map((dir) => programPath(resolve(dir), pinnedXrayVersion))
  for (const place of places) if (await isProgram(place)) return place

  const cached = await firstWritable(places)
  const reasons: string[] = []
  const fetchRelease = (folder: string): Promise<string> =>
    makeFromRelease(folder, pinnedXrayVersion, options.download ?? downloadByHttps)
  for (const [name, fetchInto] of [
    ['the release', fetchRelease],
    ['a Go build', buildWithGo],
  ] as const) {
    try {
      log.info({ version: pinnedXrayVersion }, `Fetching Xray as ${name}`)
      await installAtomically(cached, pinnedXrayVersion, (folder) => fetchInto(folder, options))
      return cached
    } catch (error) {
      const reason = reasonOf(error)
      log.warn({ reason }, `Fetching Xray as ${name} failed`)
      reasons.push(`as ${name} (${reason})`)
    }
  }
  return fail('XRAY_NOT_FOUND', {
    reason: `there is none on PATH, and it could be fetched neither ${reasons.join(' nor ')}`,
  })
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

async function onPath(name: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    // A relative entry would run whatever lies in the folder we happen to be started in.
    if (isAbsolute(folder) && (await isProgram(join(folder, name)))) return join(folder, name)
  }
  return null
}

function proxiesOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(https?|no)_proxy$/i.test(name)))
}
