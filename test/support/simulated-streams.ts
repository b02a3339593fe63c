import { AsyncIteratorClass } from '@orpc/contract'
import { FleetError } from '#src/errors.ts'

/** Streams of a server in memory: what is told goes to all that are open. */
export function createSimulatedStreams<E>() {
  interface Stream {
    waiting: E[]
    end: Error | undefined
    wake(): void
  }
  const open = new Set<Stream>()

  const end = (stream: Stream, why: Error): void => {
    open.delete(stream)
    stream.end ??= why
    stream.wake()
  }

  return {
    open(signal?: AbortSignal): AsyncIteratorClass<E, unknown, void> {
      const stream: Stream = { waiting: [], end: undefined, wake: () => undefined }
      open.add(stream)
      const onAbort = (): void => end(stream, signal?.reason as Error)
      signal?.addEventListener('abort', onAbort, { once: true })
      return new AsyncIteratorClass<E, unknown, void>(
        async () => {
          for (;;) {
            const value = stream.waiting.shift()
            if (value !== undefined) return { done: false, value }
            if (stream.end !== undefined) throw stream.end
            await new Promise<void>((resolve) => {
              stream.wake = resolve
            })
          }
        },
        async () => {
          signal?.removeEventListener('abort', onAbort)
          open.delete(stream)
        },
      )
    },
    tell(event: E): void {
      for (const stream of open) {
        stream.waiting.push(structuredClone(event))
        stream.wake()
      }
    },
    cut(): void {
      for (const stream of open) {
        end(stream, new FleetError('SERVER_UNREACHABLE', { reason: 'the connection was cut', sent: true }))
      }
    },
  }
}
