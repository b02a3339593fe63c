import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Runtime } from '#src/runtime.ts'

export interface FakeRuntime extends Runtime {
  /** Moves the clock, waking sleepers in the order of their time and letting what they set off run in between. */
  advance(ms: number): Promise<void>
  /** Moves the clock without waking anybody, as when a process was down for a while. */
  skip(ms: number): void
  /** Sets the wall clock so much ahead, or back, as a person or a time server does: no time goes by. */
  setAhead(ms: number): void
  /** How many are asleep now. */
  sleeping(): number
}

interface Sleeper {
  at: number
  wake: () => void
}

/** Event loop turns after which work without real I/O has come to rest. */
const TURNS_TO_SETTLE = 5

/** A clock that moves only by hand, with ids and bytes that are the same in every run. */
export function createFakeRuntime(options: { now: number }): FakeRuntime {
  const sleepers = new Set<Sleeper>()
  let now = options.now
  let setTo = 0
  let drawn = 0

  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS_TO_SETTLE; turn++) await nextTurn()
  }

  const earliest = (until: number): Sleeper | undefined => {
    let found: Sleeper | undefined
    for (const sleeper of sleepers) {
      if (sleeper.at <= until && (found === undefined || sleeper.at < found.at)) found = sleeper
    }
    return found
  }

  return {
    now: () => now + setTo,
    monotonic: () => now,
    randomBytes: (size) => Buffer.from(Array.from({ length: size }, () => (drawn++ * 167 + 13) % 256)),
    uuid: () => `00000000-0000-4000-8000-${String(drawn++).padStart(12, '0')}`,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error)
        const onAbort = (): void => {
          sleepers.delete(sleeper)
          reject(signal?.reason as Error)
        }
        const sleeper: Sleeper = {
          at: now + Math.max(0, ms),
          wake: () => {
            sleepers.delete(sleeper)
            signal?.removeEventListener('abort', onAbort)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    alarm: (ms, ring) => {
      const sleeper: Sleeper = {
        at: now + Math.max(0, ms),
        wake: () => {
          sleepers.delete(sleeper)
          ring()
        },
      }
      sleepers.add(sleeper)
      return () => void sleepers.delete(sleeper)
    },
    advance: async (ms) => {
      const end = now + ms
      for (;;) {
        await settle()
        const next = earliest(end)
        if (next === undefined) break
        now = Math.max(now, next.at)
        next.wake()
      }
      now = end
      await settle()
    },
    skip: (ms) => {
      now += ms
    },
    setAhead: (ms) => {
      setTo += ms
    },
    sleeping: () => sleepers.size,
  }
}
