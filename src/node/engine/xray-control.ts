/** Xray's life as a node wants it: found again or started, stopped and restarted on demand, its traffic read first. */
import type { OperationName } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import type { Accounting } from '../accounting.ts'
import type { CommandKind, Commands } from './commands.ts'
import type { Engine } from './engine.ts'
import type { NodeOperations } from '../operations.ts'
import type { createSettings } from '../rows/settings.ts'
import type { Writes } from '../writes/writes.ts'

/** ms. What a start without us would not know of clients is no older, at some 100 ms for 10,000 of them. */
export const FILE_EVERY_MS = 5 * 60_000

export interface XrayControlDeps {
  engine: Engine
  writes: Writes
  commands: Commands
  settings: ReturnType<typeof createSettings>
  accounting: Accounting
  log: Log
}

type ControlOperations = Pick<
  NodeOperations,
  Extract<OperationName, 'xray.start' | 'xray.stop' | 'xray.restart' | 'xray.config'>
>

export function createXrayControl(deps: XrayControlDeps) {
  const { engine, writes, commands, settings, accounting, log } = deps
  let reading: Promise<void> | null = null
  /** The life of Xray that was last compared with the rows since it began with an older configuration. */
  let comparedLife: string | null = null

  /** @param isLast whether this Xray is about to end, and what it has counted with it */
  async function read(isLast: boolean): Promise<void> {
    const { startedAt } = engine.state()
    if (startedAt === null) return
    try {
      const counters = await engine.counters()
      // Another Xray by now: these numbers belong to neither for certain. The next reading has them.
      if (engine.state().startedAt === startedAt) accounting.record(startedAt, counters)
    } catch (error) {
      if (isLast) log.warn({ error }, 'Xray gave no counters at its end: what it counted last is lost')
      else log.debug({ error }, 'Xray gave no counters')
    }
  }

  /** Reads the counters; a call during a reading waits for that one. */
  function account(isLast = false): Promise<void> {
    reading ??= read(isLast).finally(() => {
      reading = null
    })
    return reading
  }

  /** The last counters before Xray ends: those of a reading under way may be too old. */
  async function lastAccount(): Promise<void> {
    await reading
    await account(true)
  }

  async function startWanted(): Promise<void> {
    try {
      await engine.start()
    } catch (error) {
      // The process goes on trying, or runs the configuration before; health tells either.
      log.error({ error }, 'Xray did not start with its configuration')
    }
  }

  /** Compares all of Xray with the rows; those that cannot even be read leave it as it runs. */
  async function compare(reopen: () => Promise<number[]>): Promise<void> {
    try {
      writes.suspect(await reopen())
      await writes.mend()
    } catch (error) {
      log.error({ error }, 'Xray could not be compared with the database')
    }
  }

  /** Mends, as far as it can be by now, what was not as it should at the last start of Xray. Never rejects. */
  async function heal(): Promise<void> {
    const { running, startedAt, heldBack, onPreviousConfig } = engine.state()
    if (!running || (heldBack.length === 0 && !onPreviousConfig)) return
    if (onPreviousConfig && comparedLife !== startedAt) {
      // Once: the file it runs from knows nothing of the latest clients.
      comparedLife = startedAt
      await compare(async () => [])
    }
    try {
      await writes.exclusive(async () => {
        if (onPreviousConfig) {
          await engine.catchUp()
          log.info({}, 'Xray runs what it should again')
        }
        const opened = await engine.openHeldBack()
        if (opened.length > 0) log.info({ opened }, 'inbounds whose ports were taken are open')
      })
    } catch (error) {
      log.debug({ error }, 'Xray cannot be mended yet')
    }
  }

  const operations: ControlOperations = {
    'xray.start': (_, call) =>
      commands.run('xray.start', call, async () => {
        settings.setXrayStopped(false)
        await engine.start()
      }),
    'xray.stop': (_, call) =>
      commands.run('xray.stop', call, async () => {
        await engine.stop()
        // Last: a kill before this leaves an Xray that is wanted and will be started, as if nothing was asked.
        settings.setXrayStopped(true)
      }),
    'xray.restart': (_, call) =>
      commands.run('xray.restart', call, async () => {
        settings.setXrayStopped(false)
        await engine.restart()
      }),
    'xray.config': async ({ reveal }) => ({ config: engine.config(reveal) }),
  }

  /** A stop is done when none runs, a start when any does, a restart when it is not the one before. */
  const kind: CommandKind = {
    requireDone({ operation, xrayBefore }) {
      const { running, startedAt } = engine.state()
      const isAnother = operation !== 'xray.restart' || startedAt !== xrayBefore
      const isDone = operation === 'xray.stop' ? !running : running && isAnother
      if (!isDone) fail('XRAY_UNAVAILABLE', { reason: 'fleetgram ended before this was done' })
    },
    answer() {
      const { running, pid } = engine.state()
      return { running, pid }
    },
  }

  return {
    operations,
    kinds: { 'xray.start': kind, 'xray.stop': kind, 'xray.restart': kind },
    account: () => account(),
    lastAccount,
    heal,

    state(): { running: boolean; lastError: string | null } {
      const { running, lastError } = engine.state()
      if (!running && settings.isXrayStopped()) return { running, lastError: 'Xray was stopped by an admin' }
      return { running, lastError }
    },

    /** At our own start: what runs is taken over, never restarted; what a kill interrupted is brought to its end. */
    async begin(): Promise<void> {
      engine.setRender()
      const adopted = await engine.adopt()
      if (!adopted && !settings.isXrayStopped()) await startWanted()
      await writes.settle((error) => log.warn({ error }, 'an interrupted change was taken back'))
      // One that starts now has just been given the rows; one that ran on, or runs an older file, may differ.
      if (engine.state().running && adopted) await compare(() => engine.strayed())
      await heal()
      await account()
    },

    /** Between changes, as all that renders. */
    keepFile: (): Promise<void> => writes.exclusive(() => engine.keepFile()),

    /** A restart at a time of our own choosing, between changes. */
    restart: (): Promise<void> => writes.exclusive(() => engine.restart()),

    async end(stopXray: boolean): Promise<void> {
      await writes.exclusive(async () => {
        if (stopXray) await engine.stop()
        else await account()
        // It will be read if nobody of us can start again.
        await engine
          .keepFile()
          .catch((error: unknown) => log.warn({ error }, 'the configuration file is behind'))
        await engine.detach()
      })
    },
  }
}
