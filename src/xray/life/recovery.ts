import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'

/** Waits before a restart, in ms: quick at first, since people wait; at most 30 s, so that it heals on its own. */
const backOffMs = [1_000, 2_000, 5_000, 10_000, 30_000] as const

/** Starts Xray again and again in the background, waiting longer each time. */
export interface Recovery {
  /** ms until the next attempt, if it began now. */
  wait(): number
  /** Begins; the signal is aborted when an attempt has succeeded, or it is given up. */
  begin(): AbortSignal
  giveUp(): void
  /** Nothing is begun any more. */
  close(): void
  /** It ran well: the next time begins with the shortest wait. */
  reset(): void
}

/** @param attempt resolves with whether Xray runs; not made once the signal is aborted */
export function createRecovery(options: {
  runtime: Pick<Runtime, 'sleep'>
  log: Log
  attempt: (signal: AbortSignal) => Promise<boolean>
}): Recovery {
  const { runtime, log, attempt } = options
  let attempts = 0
  let present: AbortController | null = null
  let isClosed = false

  const wait = (): number => backOffMs[Math.min(attempts, backOffMs.length - 1)] ?? backOffMs[0]

  async function keepTrying(mine: AbortController): Promise<void> {
    while (!mine.signal.aborted) {
      const ms = wait()
      attempts++
      await runtime.sleep(ms, mine.signal)
      if (await attempt(mine.signal)) mine.abort()
    }
  }

  return {
    wait,
    begin() {
      present?.abort()
      const mine = (present = new AbortController())
      if (isClosed) mine.abort()
      // Only an abort ends it early, and that is no failure.
      keepTrying(mine).catch((error: unknown) => {
        if (!mine.signal.aborted) log.error({ error }, 'Xray is not being restarted any more')
      })
      return mine.signal
    },
    giveUp: () => present?.abort(),
    close() {
      isClosed = true
      present?.abort()
    },
    reset() {
      attempts = 0
    },
  }
}
