import { AsyncIteratorClass } from '@orpc/contract'
import type { Runtime } from '#src/runtime.ts'
import { withDeadline } from './deadline.ts'

/** Why the source of a stream is told to end. */
const left = Symbol('the reader has left')

/**
 * Opens a stream, and gives it the same ends wherever it comes from. The deadline is for its beginning alone: then it
 * goes on until the source ends it, the caller's signal is aborted (the next event then rejects with its reason), or
 * the reader leaves it. A reader that leaves while it waits for an event is told that the stream is at its end.
 * @param open gets the signal that ends the source
 * @param toError what the source throws, as the reader is to meet it
 * @throws FleetError SERVER_TIMEOUT, what `open` throws, or the reason of the caller's signal
 */
export async function openStream<T>(options: {
  timeout: number
  signal: AbortSignal | undefined
  runtime: Pick<Runtime, 'alarm'>
  open: (signal: AbortSignal) => Promise<AsyncIterator<T, unknown>>
  toError: (error: unknown) => unknown
}): Promise<AsyncIteratorClass<T, unknown, void>> {
  const { timeout, signal, runtime, open, toError } = options
  const source = new AbortController()
  const stream = await withDeadline({ timeout, signal, runtime }, async (givenUp) => {
    givenUp.addEventListener('abort', () => source.abort(givenUp.reason), { once: true })
    const opened = await open(source.signal)
    if (givenUp.aborted) await opened.return?.()
    return opened
  })

  let hasLeft = false
  let giveUp: (reason: unknown) => void = () => undefined
  const onAbort = (): void => {
    giveUp(signal?.reason)
    source.abort(signal?.reason)
  }
  signal?.addEventListener('abort', onAbort, { once: true })

  return new AsyncIteratorClass<T, unknown, void>(
    () =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason as Error)
        giveUp = reject
        stream.next().then(resolve, (error: unknown) => {
          if (hasLeft) resolve({ done: true, value: undefined })
          else reject(toError(error) as Error)
        })
      }),
    async () => {
      hasLeft = true
      signal?.removeEventListener('abort', onAbort)
      source.abort(left)
      await stream.return?.()
    },
  )
}
