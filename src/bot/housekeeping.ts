import type { Runtime } from '#src/runtime.ts'
import { safeFields } from './api-errors.ts'
import type { Drafts } from './store/drafts.ts'
import type { InboxStore } from './store/inbox.ts'
import type { Taps } from './store/taps.ts'
import type { BotDeps } from './types.ts'

const HOUR_MS = 60 * 60 * 1000
/** Telegram sends an update again for a day at most. */
const INBOX_LIFE_MS = 2 * 24 * HOUR_MS
/** A question left open for a day is not going to be answered. */
const DRAFT_LIFE_MS = 24 * HOUR_MS

/** Removes what nobody needs any more, every hour until `signal`. What cannot be removed now is tried again then. */
export async function keepHouse(options: {
  inbox: Pick<InboxStore, 'prune'>
  drafts: Pick<Drafts, 'prune'>
  taps: Pick<Taps<unknown>, 'prune'>
  runtime: Pick<Runtime, 'now' | 'sleep'>
  log: Pick<BotDeps['log'], 'error'>
  signal: AbortSignal
}): Promise<void> {
  const { inbox, drafts, taps, runtime, log, signal } = options
  while (!signal.aborted) {
    for (const prune of [
      () => inbox.prune(runtime.now() - INBOX_LIFE_MS),
      () => drafts.prune(runtime.now() - DRAFT_LIFE_MS),
      () => taps.prune(),
    ]) {
      try {
        prune()
      } catch (error) {
        log.error({ error: safeFields(error) }, 'old rows were not removed; it is tried again in an hour')
      }
    }
    await runtime.sleep(HOUR_MS, signal)
  }
}
