/** Logs read along with, by a few at a time. */
import { AsyncIteratorClass } from '@orpc/contract'
import type { Tailed } from '#src/contract/log-tail.ts'
import { FleetError } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { createFileFollower } from './file-follower.ts'
import { type LogLevel, logFilter } from './log-filter.ts'

/** ms. As fast as one reads, and half a second of a log that says nothing costs a look at the file. */
const LOOK_EVERY_MS = 500
/** Lines in one look; of more, the latest. Four hundred a second are more than anybody reads or a line carries. */
const MOST_LINES = 200
/** ms. A reader that hears nothing for two and a half of these takes its stream for broken. */
const QUIET_MS = 10_000
/** Each costs a look at a file twice a second. Whoever comes last is let in, and who came first makes room. */
const READERS = 4

export interface TailRequest {
  level?: LogLevel | undefined
  contains?: string | undefined
  /** So many of the lines that are there already come first. */
  lines: number
}

export type LogTails = ReturnType<typeof createLogTails>

export function createLogTails({ runtime }: { runtime: Pick<Runtime, 'now' | 'sleep'> }) {
  /** What ends each, the oldest first. */
  const open = new Set<(why?: FleetError) => Promise<void>>()

  async function* follow(file: string, request: TailRequest, signal: AbortSignal): AsyncGenerator<Tailed> {
    const follower = createFileFollower(file, logFilter(request))
    try {
      let saidAt = runtime.now()
      yield { skipped: 0, lines: await follower.begin(request.lines) }
      for (;;) {
        // Not before its reader asks for more: while that is slow, what comes waits in the file.
        await runtime.sleep(LOOK_EVERY_MS, signal)
        const news = await follower.next(MOST_LINES)
        const isQuiet = news.lines.length === 0 && news.skipped === 0
        if (isQuiet && runtime.now() - saidAt < QUIET_MS) continue
        saidAt = runtime.now()
        yield news
      }
    } finally {
      await follower.close()
    }
  }

  /** Nobody waits for a file to be let go of. */
  function dismiss(end: (why?: FleetError) => Promise<void>, why?: FleetError): void {
    end(why).catch(() => undefined)
  }

  return {
    /**
     * The last lines of a file that need not be there, then those that come. Ends when the signal says so, when its
     * reader leaves, or with TOO_MANY_READERS.
     */
    read(
      file: string,
      request: TailRequest,
      signal?: AbortSignal,
    ): AsyncIteratorClass<Tailed, unknown, void> {
      const [first] = open
      if (first !== undefined && open.size >= READERS) {
        dismiss(first, new FleetError('TOO_MANY_READERS', { limit: READERS }))
      }
      const ending = new AbortController()
      const lines = follow(file, request, ending.signal)
      const end = async (why?: FleetError): Promise<void> => {
        signal?.removeEventListener('abort', onAbort)
        open.delete(end)
        ending.abort(why)
        await lines.return(undefined)
      }
      const onAbort = (): void => dismiss(end)
      open.add(end)
      if (signal?.aborted === true) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })

      return new AsyncIteratorClass<Tailed, unknown, void>(
        async () => {
          const result = await lines.next().catch((error: unknown) => {
            if (!ending.signal.aborted) throw error
            return undefined
          })
          if (ending.signal.reason instanceof FleetError) throw ending.signal.reason
          return result === undefined || ending.signal.aborted ? { done: true, value: undefined } : result
        },
        () => end(),
      )
    },

    /** Ends every one. */
    close(): void {
      for (const end of open) dismiss(end)
    },

    readers: (): number => open.size,
  }
}
