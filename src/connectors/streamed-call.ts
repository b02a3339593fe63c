import {
  type CallContext,
  operationMeta,
  parseCall,
  type StreamedInput,
  type StreamedName,
} from '#src/contract/index.ts'
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
  const { timeout } = operationMeta(name)
  const work = new AbortController()
  try {
    return await withDeadline({ timeout, signal, runtime }, async () => {
      const parsed = await parseCall(name, input, context)
      return carryOut(parsed as StreamedInput<N>, work.signal)
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

/** What is done as a file goes by. */
export interface Passing {
  /** It broke; what is returned is thrown. */
  failed: (error: unknown) => unknown
  /** It has come to its end. */
  ended?: () => void
  /** Whoever read it wants no more of it, perhaps before it was begun. */
  left?: () => void
}

/** A file on its way, seen by somebody on that way. To be returned from, also before it is begun. */
export function relayed(
  source: AsyncIterable<Uint8Array>,
  { failed, ended, left }: Passing,
): AsyncIterableIterator<Uint8Array, undefined, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  const stream: AsyncIterableIterator<Uint8Array, undefined, undefined> = {
    [Symbol.asyncIterator]: () => stream,
    async next() {
      try {
        const next = await iterator.next()
        if (next.done !== true) return { done: false, value: next.value }
        ended?.()
        return { done: true, value: undefined }
      } catch (error) {
        throw failed(error)
      }
    },
    async return() {
      left?.()
      await iterator.return?.()
      return { done: true, value: undefined }
    },
  }
  return stream
}
