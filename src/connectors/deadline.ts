import { FleetError } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'

/**
 * Runs a call, and gives up waiting for it after `timeout` ms or when the caller's signal says so. The call is told
 * by the signal it gets; whether it can still take effect is for the idempotency key to settle.
 * @throws FleetError SERVER_TIMEOUT, or the reason of the caller's signal
 */
export function withDeadline<T>(
  options: { timeout: number; signal: AbortSignal | undefined; runtime: Pick<Runtime, 'alarm'> },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { timeout, signal, runtime } = options
  return new Promise<T>((resolve, reject) => {
    signal?.throwIfAborted()
    const work = new AbortController()
    const end = (): void => {
      stopClock()
      signal?.removeEventListener('abort', onAbort)
    }
    const giveUp = (reason: unknown): void => {
      end()
      // The caller hears the reason before the call, which the signal makes fail, can tell another.
      reject(reason as Error)
      work.abort(reason)
    }
    const onAbort = (): void => giveUp(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const stopClock = runtime.alarm(timeout, () =>
      giveUp(new FleetError('SERVER_TIMEOUT', { seconds: timeout / 1000 })),
    )
    void call(work.signal).then(resolve, reject).finally(end)
  })
}
