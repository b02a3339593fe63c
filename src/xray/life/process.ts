import { mkdir, rm } from 'node:fs/promises'
import { FleetError } from '#src/errors.ts'
import { configFile } from './config-file.ts'
import { type HeldBack, tellHeldBack } from './held-back.ts'
import type { Running } from './launch.ts'
import { apiAnswers, describeExit, launch } from './launch.ts'
import { livingXrays } from './living.ts'
import { pidFile } from './pid-file.ts'
import type { ProcessIdentity } from './proc.ts'
import { lifeOf } from './proc.ts'
import type { XrayChange, XrayProcess, XrayProcessOptions } from './process-types.ts'
import { xrayArguments, xrayPaths } from './process-types.ts'
import { createRecovery } from './recovery.ts'
import { createSerial } from './serial.ts'
import { startBest } from './start.ts'
import { createWatch } from './watch.ts'

export { xrayArguments, xrayPaths } from './process-types.ts'
export type { XrayChange, XrayProcess, XrayProcessOptions, XrayState } from './process-types.ts'

/** One that lived this long has not crashed because of its start: the back-off begins anew. */
const healthyAfterMs = 60_000
/** Its sockets are closed some milliseconds before it has ended. */
const endTakesMs = 200

export function createXrayProcess(options: XrayProcessOptions): XrayProcess {
  const { program, dir, runtime, log } = options
  const paths = xrayPaths(dir)
  const args = xrayArguments(dir)
  const config = configFile(paths.config, paths.previous)
  const pids = pidFile(paths.pid)
  const living = livingXrays({ args, pids, runtime })

  let render: (() => object) | null = null
  let lastError: string | null = null
  let onPreviousConfig = false
  let heldBack: HeldBack[] = []
  let lastAct = async (): Promise<void> => undefined
  let tell: (change: XrayChange) => void = () => undefined
  const exclusive = createSerial()

  const recovery = createRecovery({
    runtime,
    log,
    attempt: (signal) =>
      exclusive(async () => {
        if (signal.aborted) return false
        await begin().catch((error: unknown) => log.warn({ error }, 'Xray did not start again'))
        return watch.current() !== null
      }),
  })

  const watch = createWatch({
    runtime,
    async onEnd({ identity, status, lived }) {
      if (lived >= healthyAfterMs) recovery.reset()
      const restartInMs = recovery.wait()
      lastError = 'it ended'
      const attempts = recovery.begin()
      const reason = await describeExit(status, paths.output)
      // Unless meanwhile it was stopped on purpose or is back.
      if (!attempts.aborted) lastError = reason
      log.warn({ pid: identity.pid, reason, restartInMs }, 'Xray ended by itself')
      if (!attempts.aborted) tell({ type: 'down', reason, restartInMs })
    },
  })

  const writeDown = (identity: ProcessIdentity): Promise<void> =>
    // On a full disk it runs without: it can be found by its arguments too.
    pids
      .write(identity)
      .catch((error: unknown) => log.warn({ error }, 'which process Xray is cannot be kept'))

  const launchNow = async (): Promise<Running> => {
    await mkdir(paths.logDir, { recursive: true, mode: 0o700 })
    return launch({
      ...program(),
      args,
      dir,
      socketPath: paths.socket,
      outputPath: paths.output,
      runtime,
      onSpawn: writeDown,
    })
  }

  const wrong = (): string | null => lastError ?? tellHeldBack(heldBack)
  const tellUp = (): void => {
    const identity = watch.current()
    if (identity !== null) tell({ type: 'up', pid: identity.pid, lastError: wrong() })
  }

  /** Starts with the best configuration there is. Throws unless that is the one it should be. */
  const begin = async (): Promise<void> => {
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      // Two Xray on one port share it without a word, so none may be left from a life we do not remember.
      await living.endAll()
      const { running, failure, ...started } = await startBest({ config, render, launch: launchNow, log })
      watch.over(running)
      log.info({ pid: running.identity.pid }, 'Xray started')
      heldBack = started.heldBack
      onPreviousConfig = failure !== null
      lastError = failure === null ? null : reasonOf(failure)
      tellUp()
      if (failure !== null) throw failure
    } catch (error) {
      lastError = reasonOf(error)
      throw error
    }
  }

  const end = async (): Promise<void> => {
    if (watch.current() !== null) await lastAct()
    // It may have ended by itself meanwhile.
    recovery.giveUp()
    watch.letGo()
    onPreviousConfig = false
    heldBack = []
    await living.endAll()
    await Promise.all([pids.remove(), rm(paths.socket, { force: true })])
  }

  const startAnew = async (): Promise<void> => {
    try {
      await begin()
    } catch (error) {
      if (watch.current() === null) {
        tell({ type: 'down', reason: lastError ?? 'it does not start', restartInMs: recovery.wait() })
        recovery.begin()
      }
      throw error
    }
  }

  return {
    watch: (listener) => void (tell = listener),

    setRender: (next) => void (render = next),
    setLastAct: (act) => void (lastAct = act),

    start: (next) =>
      exclusive(async () => {
        render = next
        if (watch.current() !== null) return
        recovery.giveUp()
        await startAnew()
      }),

    restart: (next) =>
      exclusive(async () => {
        // Rendered and written first: if that fails, what runs stays.
        await mkdir(dir, { recursive: true, mode: 0o700 })
        await config.write(next())
        render = next
        await end()
        await startAnew()
      }),

    startAsIs: () =>
      exclusive(async () => {
        if (watch.current() !== null) return
        recovery.giveUp()
        await startAnew()
      }),

    adopt: () =>
      exclusive(async () => {
        if (watch.current() !== null) return true
        for (const identity of await living.find()) {
          if (!(await apiAnswers(identity, paths.socket, runtime))) continue
          await writeDown(identity)
          recovery.giveUp()
          lastError = null
          watch.over({ identity, exited: null })
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
    refreshConfig: (json) => exclusive(() => config.replace(json)),

    stop: () => {
      recovery.giveUp()
      return exclusive(async () => {
        await end()
        lastError = null
        log.info({}, 'Xray stopped')
        tell({ type: 'down', reason: 'it was stopped', restartInMs: null })
      })
    },

    state() {
      const identity = watch.current()
      return {
        running: identity !== null,
        pid: identity?.pid ?? null,
        startedAt: identity === null ? null : lifeOf(identity),
        lastError: wrong(),
        onPreviousConfig,
        heldBack,
      }
    },

    async settled() {
      await exclusive(async () => undefined)
      await watch.look(0)
    },

    noticeEnd: () => watch.look(endTakesMs),

    holdBack(held) {
      heldBack = [...heldBack.filter(({ tag }) => tag !== held.tag), held]
    },

    release(released) {
      heldBack = heldBack.filter(({ tag }) => tag !== released)
    },

    acceptConfig() {
      lastError = null
      onPreviousConfig = false
    },

    detach: () => {
      recovery.close()
      return exclusive(async () => watch.letGo())
    },
  }
}

function reasonOf(error: unknown): string {
  // Of Xray itself the reason is enough; what else went wrong needs its whole sentence.
  if (error instanceof FleetError && error.code.startsWith('XRAY_')) {
    return String(error.details['reason'] ?? error.message)
  }
  return error instanceof Error ? error.message : String(error)
}
