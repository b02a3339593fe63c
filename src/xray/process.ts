import { mkdir, rm } from 'node:fs/promises'
import { FleetError, fail } from '#src/errors.ts'
import { delayAfter } from './back-off.ts'
import { configFile } from './config-file.ts'
import type { ExitStatus, Running } from './launch.ts'
import { apiAnswers, describeExit, exists, launch, terminate } from './launch.ts'
import { pidFile } from './pid-file.ts'
import type { ProcessIdentity } from './proc.ts'
import { findByArguments, isStillRunning } from './proc.ts'
import type { XrayChange, XrayProcess, XrayProcessOptions } from './process-types.ts'
import { xrayPaths } from './process-types.ts'

export { xrayPaths } from './process-types.ts'
export type { XrayChange, XrayProcess, XrayProcessOptions, XrayState } from './process-types.ts'

/** One that lived this long has not crashed because of its start: the back-off begins anew. */
const healthyAfterMs = 60_000
/** An adopted Xray is no child of ours, so nobody tells us of its end. Looking costs one read of a small file. */
const watchEveryMs = 500

export function createXrayProcess(options: XrayProcessOptions): XrayProcess {
  const { program, dir, runtime, log } = options
  const paths = xrayPaths(dir)
  const args = ['run', '-c', paths.config]
  const config = configFile(paths.config, paths.previous)
  const pids = pidFile(paths.pid)

  let render: (() => object) | null = null
  let current: { identity: ProcessIdentity; since: number; watch: NodeJS.Timeout | null } | null = null
  let lastError: string | null = null
  let onPreviousConfig = false
  let crashes = 0
  let recovery: AbortController | null = null
  let detached = false
  let tell: (change: XrayChange) => void = () => undefined
  let queue: Promise<unknown> = Promise.resolve()

  const exclusive = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work)
    queue = result.catch(() => undefined)
    return result
  }

  const watchOver = (running: Running): void => {
    const { identity, exited } = running
    const look = async (): Promise<void> => {
      if (!(await isStillRunning(identity))) await onDeath(identity, null)
    }
    void exited?.then((status) => onDeath(identity, status))
    const watch = exited === null ? setInterval(() => void look(), watchEveryMs) : null
    watch?.unref()
    current = { identity, since: runtime.now(), watch }
  }

  const letGo = (): void => {
    if (current !== null && current.watch !== null) clearInterval(current.watch)
    current = null
  }

  const onDeath = async (identity: ProcessIdentity, status: ExitStatus | null): Promise<void> => {
    if (current?.identity !== identity) return
    if (runtime.now() - current.since >= healthyAfterMs) crashes = 0
    letGo()
    const restartInMs = delayAfter(crashes)
    lastError = 'it ended'
    const attempts = recover()
    const reason = await describeExit(status, paths.output)
    // Unless meanwhile it was stopped on purpose or is back.
    if (!attempts.aborted) lastError = reason
    log.warn({ pid: identity.pid, reason, restartInMs }, 'Xray ended by itself')
    if (!attempts.aborted) tell({ type: 'down', reason, restartInMs })
  }

  /** Starts it again and again in the background; the signal is aborted when that has succeeded or is given up. */
  const recover = (): AbortSignal => {
    recovery?.abort()
    const mine = (recovery = new AbortController())
    if (detached) mine.abort()
    const attempts = async (): Promise<void> => {
      while (!mine.signal.aborted) {
        await runtime.sleep(delayAfter(crashes++), mine.signal)
        await exclusive(async () => {
          if (mine.signal.aborted) return
          await begin().catch((error: unknown) => log.warn({ error }, 'Xray did not start again'))
          if (current !== null) mine.abort()
        })
      }
    }
    // Only an abort ends it early, and that is no failure.
    attempts().catch((error: unknown) => {
      if (!mine.signal.aborted) log.error({ error }, 'Xray is not being restarted any more')
    })
    return mine.signal
  }

  const launchNow = async (): Promise<void> => {
    await mkdir(paths.logDir, { recursive: true, mode: 0o700 })
    const running = await launch({
      ...program(),
      args,
      dir,
      socketPath: paths.socket,
      outputPath: paths.output,
      runtime,
      onSpawn: (identity) => pids.write(identity),
    })
    watchOver(running)
    log.info({ pid: running.identity.pid }, 'Xray started')
  }

  const tellUp = (): void => {
    if (current !== null) tell({ type: 'up', pid: current.identity.pid, lastError })
  }

  /** Starts with the configuration as it should be now, or else with the one before. Throws in either failure. */
  const begin = async (): Promise<void> => {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    // Two Xray on one port share it without a word, so none may be left from a life we do not remember.
    await endStrangers()
    if (render !== null) await config.write(render())
    else if (!(await exists(paths.config)))
      fail('XRAY_UNAVAILABLE', { reason: 'it has no configuration yet' })
    onPreviousConfig = false
    try {
      await launchNow()
      lastError = null
      tellUp()
    } catch (error) {
      lastError = error instanceof FleetError ? String(error.details['reason'] ?? error.code) : String(error)
      if (await config.restorePrevious()) {
        log.warn({ error }, 'Xray refused its configuration; the one before is started')
        await launchNow().then(
          () => (onPreviousConfig = true),
          (again: unknown) => log.warn({ error: again }, 'Xray does not start with that one either'),
        )
        tellUp()
      }
      throw error
    }
  }

  /** What was started from this folder and lives, as the pid file or, that lost or damaged, its arguments tell. */
  const findLiving = async (): Promise<ProcessIdentity[]> => {
    const known = await pids.findLiving()
    const found = await findByArguments(args)
    return [...(known === null ? [] : [known]), ...found.filter(({ pid }) => pid !== known?.pid)]
  }

  const endStrangers = async (): Promise<void> => {
    for (const identity of await findLiving()) await terminate(identity, runtime)
  }

  const end = async (): Promise<void> => {
    letGo()
    onPreviousConfig = false
    await endStrangers()
    await Promise.all([pids.remove(), rm(paths.socket, { force: true })])
  }

  const startAnew = async (): Promise<void> => {
    try {
      await begin()
    } catch (error) {
      if (current === null) {
        tell({ type: 'down', reason: lastError ?? 'it does not start', restartInMs: delayAfter(crashes) })
        recover()
      }
      throw error
    }
  }

  return {
    watch: (listener) => void (tell = listener),
    setRender: (next) => void (render = next),

    start: (next) =>
      exclusive(async () => {
        render = next
        if (current !== null) return
        recovery?.abort()
        await startAnew()
      }),

    restart: (next) =>
      exclusive(async () => {
        // Rendered and written first: if that fails, what runs stays.
        await mkdir(dir, { recursive: true, mode: 0o700 })
        await config.write(next())
        render = next
        recovery?.abort()
        await end()
        await startAnew()
      }),

    adopt: () =>
      exclusive(async () => {
        if (current !== null) return true
        for (const identity of await findLiving()) {
          if (!(await apiAnswers(identity, paths.socket, runtime))) continue
          await pids.write(identity)
          recovery?.abort()
          lastError = null
          watchOver({ identity, exited: null })
          log.info({ pid: identity.pid }, 'Xray runs already and was taken over')
          tellUp()
          return true
        }
        return false
      }),

    readConfig: () => config.read(),
    writeConfig: (json) =>
      exclusive(async () => {
        await mkdir(dir, { recursive: true, mode: 0o700 })
        await config.write(json)
      }),

    stop: () => {
      recovery?.abort()
      return exclusive(async () => {
        recovery?.abort()
        lastError = null
        await end()
        log.info({}, 'Xray stopped')
        tell({ type: 'down', reason: 'it was stopped', restartInMs: null })
      })
    },

    state: () => ({
      running: current !== null,
      pid: current?.identity.pid ?? null,
      startedAt: current === null ? null : lifeOf(current.identity),
      lastError,
      onPreviousConfig,
    }),

    detach: () => {
      detached = true
      recovery?.abort()
      return exclusive(async () => letGo())
    },
  }
}

function lifeOf({ bootId, pid, startTime }: ProcessIdentity): string {
  return `${bootId}:${pid}:${startTime}`
}
