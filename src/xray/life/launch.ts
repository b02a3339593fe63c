import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { access, open, rm } from 'node:fs/promises'
import { FleetError, fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import type { XrayApi } from '../api/api.ts'
import { connectXrayApi } from '../api/api.ts'
import { lastMeaningfulLine, xrayEnvironment } from '../programs/command.ts'
import type { ProcessIdentity } from './proc.ts'
import { identify, isStillRunning } from './proc.ts'
import { type XrayProgram, xrayVersion } from '../programs/program.ts'

export interface LaunchOptions extends XrayProgram {
  args: readonly string[]
  /** Working folder. */
  dir: string
  socketPath: string
  /** Where its standard output and error go: a file, since it dies of the first write to a pipe we left behind. */
  outputPath: string
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>
  /** Told as soon as the process is there, before it is known to work. */
  onSpawn(identity: ProcessIdentity): Promise<void>
}

export interface ExitStatus {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Running {
  identity: ProcessIdentity
  /** Resolves when it has ended; null for a process that is not our child, whose end nobody tells us. */
  exited: Promise<ExitStatus> | null
}

const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants

// 50,000 users take 2 s to load on two busy cores; a small server may be ten times slower.
const startTimeoutMs = 30_000
const startPollMs = 25

/**
 * With its default, Xray hands a Vision connection to the kernel (splice) and counts its bytes only when it ends: a
 * film would show as nothing for two hours, pass its limit, and be lost if Xray died meanwhile. Counting as it goes
 * costs processor time on fast links, so the same variable in our own environment (`enable`) has the last word.
 */
const countEverything = { XRAY_BUF_SPLICE: 'disable' }

/**
 * Starts Xray in a session of its own, so that it outlives us, and waits until every inbound is open.
 * @throws XRAY_REFUSED with its last words when it ends at once, XRAY_UNAVAILABLE when it never gets ready,
 * XRAY_NOT_FOUND when the file cannot be run or is no Xray
 */
export async function launch(options: LaunchOptions): Promise<Running> {
  const { binary, args, dir, socketPath, outputPath } = options
  checkSocketPath(socketPath)
  // A socket left by an Xray that was killed would keep the new one from listening.
  await rm(socketPath, { force: true })
  // Begun anew, and appended to: emptied by a rotation it would otherwise have a hole of its former size.
  const output = await open(outputPath, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
  let child
  try {
    child = spawn(binary, args, {
      cwd: dir,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      env: { ...countEverything, ...xrayEnvironment(process.env, options.assets) },
    })
    child.unref()
    await once(child, 'spawn')
  } catch (error) {
    fail('XRAY_NOT_FOUND', { reason: `${binary} cannot be run` }, { cause: error })
  } finally {
    await output.close()
  }
  const exited = new Promise<ExitStatus>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve({ code: child.exitCode, signal: child.signalCode })
    }
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const identity = child.pid === undefined ? null : await identify(child.pid)
  if (identity === null) {
    const status = await exited
    throw await endedAtOnce(options, status)
  }
  try {
    await options.onSpawn(identity)
    await waitUntilReady(options, exited)
  } catch (error) {
    await terminate(identity, options.runtime)
    throw error
  }
  return { identity, exited }
}

/** Why it ended at once: because of what it was told. @throws FleetError XRAY_NOT_FOUND because it is no Xray */
async function endedAtOnce({ binary, outputPath }: LaunchOptions, status: ExitStatus): Promise<FleetError> {
  // Half a download, a build for another machine, another program of that name: the configuration is not at fault.
  await xrayVersion(binary)
  return new FleetError('XRAY_REFUSED', { reason: await describeExit(status, outputPath) })
}

// The kernel's limit for the path of a unix socket, its closing zero byte excluded (unix(7)).
const maxSocketPath = 107

function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) > maxSocketPath) {
    fail('XRAY_REFUSED', {
      reason: `the path of its API socket is longer than ${maxSocketPath} bytes: ${path}`,
    })
  }
  // Xray takes what follows a comma for the socket's permissions.
  if (path.includes(',')) fail('XRAY_REFUSED', { reason: `the path of its API socket has a comma: ${path}` })
}

async function waitUntilReady(options: LaunchOptions, exited: Promise<ExitStatus>): Promise<void> {
  const { socketPath, runtime } = options
  const giveUpAt = runtime.monotonic() + startTimeoutMs
  let ended: ExitStatus | null = null
  void exited.then((status) => (ended = status))
  let api: XrayApi | null = null
  try {
    while (runtime.monotonic() < giveUpAt) {
      if (ended !== null) throw await endedAtOnce(options, ended)
      if (api !== null || (await exists(socketPath))) {
        api ??= connectXrayApi(socketPath)
        // Not just any call: this one waits for all inbounds, and a port in use then ends Xray before it answers.
        if (await answers(() => api?.inboundTags())) return
      }
      await runtime.sleep(startPollMs)
    }
  } finally {
    api?.close()
  }
  fail('XRAY_UNAVAILABLE', { reason: `it was not ready after ${startTimeoutMs / 1000} s` })
}

// Taking a live Xray for a dead one would cut everybody off, so a busy machine is given time.
const adoptPatienceMs = 5_000

/** Whether this living Xray answers at its socket, giving one that is just starting, or very busy, some time. */
export async function apiAnswers(
  identity: ProcessIdentity,
  socketPath: string,
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>,
): Promise<boolean> {
  const giveUpAt = runtime.monotonic() + adoptPatienceMs
  const api = connectXrayApi(socketPath)
  try {
    while (!(await answers(() => api.inboundTags()))) {
      if (runtime.monotonic() > giveUpAt || !(await isStillRunning(identity))) return false
      await runtime.sleep(startPollMs)
    }
    return true
  } finally {
    api.close()
  }
}

async function answers(call: () => Promise<unknown> | undefined): Promise<boolean> {
  try {
    await call()
    return true
  } catch (error) {
    if (error instanceof FleetError && error.code === 'XRAY_UNAVAILABLE') return false
    throw error
  }
}

// How long Xray may take to close its connections; it needs milliseconds.
const graceMs = 5_000
const endPollMs = 20

/** Ends exactly this process: asks, waits 5 s, then forces. */
export async function terminate(
  identity: ProcessIdentity,
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>,
): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    // Looked at before each signal: its pid could be another's by now.
    if (!(await isStillRunning(identity))) return
    try {
      process.kill(identity.pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return
      throw error
    }
    const waitUntil = runtime.monotonic() + graceMs
    while (runtime.monotonic() < waitUntil) {
      if (!(await isStillRunning(identity))) return
      await runtime.sleep(endPollMs)
    }
  }
  fail('XRAY_UNAVAILABLE', { reason: 'it cannot be ended' })
}

/** How a process ended, in words, with its last ones when they tell more. */
export async function describeExit(status: ExitStatus | null, outputPath: string): Promise<string> {
  const how =
    status === null
      ? 'it ended'
      : status.signal === null
        ? `it ended with code ${status.code}`
        : `it was ended by ${status.signal}`
  if (status?.signal === 'SIGKILL' || status?.signal === 'SIGTERM') return how
  const output = await wordsOf(outputPath)
  if (/fail|panic|fatal/i.test(output)) return lastMeaningfulLine(output)
  const line = lastMeaningfulLine(output)
  return line === 'it said nothing' || line.startsWith('[Info]') ? how : `${how}: ${line}`
}

// Go ends a panic with what each of its threads was doing, which is long; what went wrong stands before that.
const wordsBytes = 64 * 1024

/** The beginning and the end of what it printed. */
async function wordsOf(path: string): Promise<string> {
  try {
    const file = await open(path)
    try {
      const { size } = await file.stat()
      const starts = size <= wordsBytes ? [0] : [0, Math.max(wordsBytes, size - wordsBytes)]
      const pieces = starts.map((at) => file.read(Buffer.alloc(wordsBytes), 0, wordsBytes, at))
      const read = await Promise.all(pieces)
      return read.map(({ buffer, bytesRead }) => buffer.toString('utf8', 0, bytesRead)).join('')
    } finally {
      await file.close()
    }
  } catch {
    return ''
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
