import { randomBytes, randomUUID } from 'node:crypto'

export const DAY_MS = 24 * 60 * 60 * 1000

/** The outside world a decision may depend on, passed in so that tests can hold it still. */
export interface Runtime {
  /** Wall clock in ms since the epoch. */
  now(): number
  /** ms on a clock that only goes forward, whoever sets the machine's: for waits, deadlines and speeds. */
  monotonic(): number
  /** `size` bytes from a cryptographically strong source. */
  randomBytes(size: number): Buffer
  /** A random UUID v4. */
  uuid(): string
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /**
   * Calls `ring` after `ms`, unless what it returns is called first. For a limit that is set with every call and
   * almost never reached: calling off a sleep by a signal costs ten times as much.
   */
  alarm(ms: number, ring: () => void): () => void
}

/** The real clock and the operating system's randomness. */
export function systemRuntime(): Runtime {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    randomBytes: (size) => randomBytes(size),
    uuid: () => randomUUID(),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error)
        const onAbort = (): void => {
          clearTimeout(timer)
          reject(signal?.reason as Error)
        }
        const timer = setTimeout(() => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        }, ms)
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    alarm: (ms, ring) => {
      const timer = setTimeout(ring, ms)
      return () => clearTimeout(timer)
    },
  }
}

/** A URL-safe random identifier with `bits` of entropy (a multiple of 8). */
export function randomId(runtime: Pick<Runtime, 'randomBytes'>, bits = 128): string {
  return runtime.randomBytes(bits / 8).toString('base64url')
}
