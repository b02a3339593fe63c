import {
  type CallContext,
  operationMeta,
  parseInput,
  type StreamedInput,
  type StreamedName,
} from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { withDeadline } from './deadline.ts'

export interface StreamedCall<N extends StreamedName> {
  name: N
  input: unknown
  context?: CallContext | undefined
  signal?: AbortSignal | undefined
  runtime: Parameters<typeof withDeadline>[0]['runtime']
}

/**
 * What comes before a call that carries a file, on every road: its input checked as the contract says, a key where one
 * is needed, and an end to waiting.
 * @param carryOut is told by the signal when nobody waits for it any more
 */
export async function streamedCall<N extends StreamedName, T>(
  call: StreamedCall<N>,
  carryOut: (input: StreamedInput<N>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { name, input, context, signal, runtime } = call
  const { timeout, kind } = operationMeta(name)
  const work = new AbortController()
  try {
    return await withDeadline({ timeout, signal, runtime }, async () => {
      const parsed = await parseInput(name, input)
      if (!parsed.ok) fail('BAD_INPUT', { field: parsed.field, reason: parsed.reason })
      if (kind !== 'read' && context?.idempotencyKey === undefined) fail('IDEMPOTENCY_KEY_REQUIRED')
      return carryOut(parsed.value as StreamedInput<N>, work.signal)
    })
  } catch (error) {
    work.abort(error)
    throw error
  }
}

/** A file on its way, which keeps in mind why it broke: whoever carries it may have other words for that. */
export function watched(
  file: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): { stream: AsyncIterable<Uint8Array>; failure(): unknown } {
  let failure: unknown
  async function* stream(): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = file[Symbol.asyncIterator]()
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    aborted.catch(() => undefined)
    try {
      for (;;) {
        signal.throwIfAborted()
        // One that never comes must not hold up the end.
        const next = await Promise.race([iterator.next(), aborted])
        if (next.done === true) return
        yield next.value
      }
    } catch (error) {
      failure = error
      throw error
    } finally {
      // Not waited for, for the same reason.
      iterator.return?.().catch(() => undefined)
    }
  }
  return { stream: stream(), failure: () => failure }
}

/** A stream whose failures are told in other words. To be returned from, also before it is begun. */
export function reworded(
  source: AsyncIterable<Uint8Array>,
  words: (error: unknown) => Error,
): AsyncIterableIterator<Uint8Array, undefined, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  const stream: AsyncIterableIterator<Uint8Array, undefined, undefined> = {
    [Symbol.asyncIterator]: () => stream,
    async next() {
      try {
        const next = await iterator.next()
        return next.done === true ? { done: true, value: undefined } : { done: false, value: next.value }
      } catch (error) {
        throw words(error)
      }
    },
    async return() {
      await iterator.return?.()
      return { done: true, value: undefined }
    },
  }
  return stream
}
