import { type Api, GrammyError } from 'grammy'
import type { Update } from 'grammy/types'
import { type Faults, noFaults } from '#src/faults.ts'
import { DAY_MS, type Runtime } from '#src/runtime.ts'
import type { Log } from '#src/log.ts'
import { forApi, retryAfterMs, safeFields } from './api-errors.ts'

/** How long Telegram may hold a poll open: the longest that common proxies let a silent connection live. */
const POLL_SECONDS = 30
/** A poll that has not come back by then hangs on a dead connection. */
const POLL_DEADLINE_MS = (POLL_SECONDS + 15) * 1000
/** After a week of silence Telegram may start its ids anywhere, also lower: an old offset would confirm them unseen. */
const OFFSET_LIFE_MS = 6 * DAY_MS
const FIRST_BACKOFF_MS = 500
const LONGEST_BACKOFF_MS = 15_000

const ALLOWED_UPDATES = ['message', 'callback_query', 'inline_query', 'my_chat_member'] as const

/**
 * Fetches updates until `signal` is aborted. `take` must have committed them when it returns: only then does the
 * next call confirm them to Telegram. Never throws for what passes: network, rate limits, a second instance.
 */
export async function poll(options: {
  api: Api
  runtime: Runtime
  log: Pick<Log, 'info' | 'warn'>
  signal: AbortSignal
  take: (updates: Update[]) => void
  faults?: Faults | undefined
}): Promise<void> {
  const { runtime, log, signal, faults = noFaults } = options
  let offset = 0
  let lastUpdateAt = runtime.now()
  let backoff = 0
  /** The longest wait that was told of: an outage is told while it is tried less and less often, and its end. */
  let told = 0
  const tell = (error: unknown, waitMs: number): void => {
    if (error instanceof GrammyError && error.error_code === 409) {
      log.warn(
        { waitMs },
        'another program polls Telegram with this bot token: stop it, or give each its own token; trying again',
      )
    } else log.warn({ error: safeFields(error), waitMs }, 'no updates from Telegram; trying again')
  }
  while (!signal.aborted) {
    if (runtime.now() - lastUpdateAt > OFFSET_LIFE_MS) offset = 0
    try {
      const polling = fetchUpdates(options, offset)
      const [updates] = await Promise.all([polling, offset > 0 ? faults.at('update confirmed') : undefined])
      if (told > 0) log.info({}, 'updates from Telegram come again')
      backoff = told = 0
      if (updates.length === 0) continue
      options.take(updates)
      offset = Math.max(...updates.map((update) => update.update_id)) + 1
      lastUpdateAt = runtime.now()
    } catch (error) {
      if (signal.aborted) return
      backoff = Math.min(Math.max(backoff * 2, FIRST_BACKOFF_MS), LONGEST_BACKOFF_MS)
      const wait = Math.max(retryAfterMs(error) ?? 0, backoff)
      if (wait > told) {
        told = wait
        tell(error, wait)
      }
      await runtime.sleep(wait, signal).catch(() => undefined)
    }
  }
}

async function fetchUpdates(
  { api, runtime, signal }: { api: Api; runtime: Runtime; signal: AbortSignal },
  offset: number,
): Promise<Update[]> {
  const done = new AbortController()
  const deadline = new AbortController()
  runtime.sleep(POLL_DEADLINE_MS, done.signal).then(
    () => deadline.abort(),
    () => undefined,
  )
  try {
    const request = { offset, limit: 100, timeout: POLL_SECONDS, allowed_updates: ALLOWED_UPDATES }
    return await api.getUpdates(request, forApi(AbortSignal.any([signal, deadline.signal])))
  } finally {
    done.abort()
  }
}
