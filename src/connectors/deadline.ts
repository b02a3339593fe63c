import { FleetError } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'

/** Why a clock is stopped. Without a reason every call would have an error made for it, stack and all. */
const ended = Symbol('the call has ended')

/**
 * Runs a call, and gives up waiting for it after `timeout` ms or when the caller's signal says so. The call is told
 * by the signal it gets; whether it can still take effect is for the idempotency key to settle.
 * @throws FleetError SERVER_TIMEOUT, or the reason of the caller's signal
 */
export async function withDeadline<T>(
  options: { timeout: number; signal: AbortSignal | undefined; runtime: Pick<Runtime, 'sleep'> },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { timeout, signal, runtime } = options
  signal?.throwIfAborted()
  const work = new AbortController()
  const clock = new AbortController()
  let onAbort: (() => void) | undefined
  const givenUp = new Promise<never>((_, reject) => {
    const giveUp = (reason: unknown): void => {
      // The caller hears the reason before the call, which the signal makes fail, can tell another.
      reject(reason as Error)
      work.abort(reason)
    }
    onAbort = () => giveUp(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    runtime.sleep(timeout, clock.signal).then(
      () => giveUp(new FleetError('SERVER_TIMEOUT', { seconds: timeout / 1000 })),
      // Only the end of the call aborts this clock.
      () => undefined,
    )
  })
  try {
    return await Promise.race([call(work.signal), givenUp])
  } finally {
    clock.abort(ended)
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
  }
}
