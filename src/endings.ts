/** How a process comes to its end: part by part, the one begun last first, whatever becomes of each. */
import type { Log } from './log.ts'
import type { Runtime } from './runtime.ts'

export interface Endings {
  /** Adds a part that has begun; it ends before all that were added earlier. */
  add(part: string, end: () => unknown): void
  /** Ends every part, once. Never rejects: one that fails or hangs keeps no other from its end. */
  endAll(): Promise<void>
}

/** ms. Docker kills what has not ended 10 s after it was asked to; systemd waits longer. */
const ALL_WITHIN_MS = 8_000
/** ms. The bot gives what it is doing 5 s by itself. */
const EACH_WITHIN_MS = 6_000
/** ms. What the last parts still get when the first have used the time up: to write, and to close the database. */
const LEAST_MS = 500

export function createEndings(options: { log: Log; runtime: Pick<Runtime, 'monotonic' | 'sleep'> }): Endings {
  const { log, runtime } = options
  const parts: { part: string; end: () => unknown }[] = []

  async function endOne(part: string, end: () => unknown, withinMs: number): Promise<void> {
    const ended = new AbortController()
    const late = runtime.sleep(withinMs, ended.signal).then(
      () => log.error({ part }, 'a part did not end in time'),
      () => undefined,
    )
    const work = async (): Promise<void> => {
      try {
        await end()
      } catch (error) {
        log.error({ part, error }, 'a part did not end cleanly')
      }
    }
    await Promise.race([work(), late])
    ended.abort()
  }

  return {
    add(part, end) {
      parts.push({ part, end })
    },
    async endAll() {
      const endBy = runtime.monotonic() + ALL_WITHIN_MS
      for (const { part, end } of parts.splice(0).toReversed()) {
        const left = Math.min(EACH_WITHIN_MS, endBy - runtime.monotonic())
        await endOne(part, end, Math.max(LEAST_MS, left))
      }
    },
  }
}
