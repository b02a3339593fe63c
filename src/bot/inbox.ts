import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Update } from 'grammy/types'
import type { Runtime } from '#src/runtime.ts'
import type { Db } from '#src/store/drizzle.ts'
import { isPassing, retryAfterMs, safeFields } from './api-errors.ts'
import type { Drafts } from './store/drafts.ts'
import type { InboxRow, InboxStore } from './store/inbox.ts'
import type { BotDeps } from './types.ts'

/** A handling that has not ended by then never will: nothing a handler awaits takes longer. */
const WATCHDOG_MS = 60_000
const TRIES = 3
/** Telegram or the network away: what a person tapped is still wanted when it is back, but not an hour later. */
const PASSING_LIFE_TRIES = 60
const LONGEST_WAIT_MS = 30_000
/** The database takes no writes, as with a full disk: looked at again soon, but not in every turn. */
const FAULT_PAUSE_MS = 5_000

export interface InboxWorkers {
  /** Commits updates; returns when they are safe. */
  take(updates: Update[]): void
  /** Goes on with what was left by a kill. */
  resume(): void
  /** Resolves when no update is being handled. */
  idle(): Promise<void>
}

/** Updates of one chat stay in order; an inline query has no chat. */
export function queueOf(update: Update): string {
  const chat =
    update.message?.chat.id ?? update.callback_query?.message?.chat.id ?? update.my_chat_member?.chat.id
  if (chat !== undefined) return String(chat)
  return `user:${update.inline_query?.from.id ?? update.callback_query?.from.id ?? 0}`
}

class TimedOut extends Error {}

/** One worker per queue, in order; queues side by side. */
export function createInboxWorkers(options: {
  db: Db
  store: InboxStore
  drafts: Drafts
  runtime: Runtime
  log: BotDeps['log']
  signal: AbortSignal
  /** The draft an update may move; undefined where it can move none. */
  draftKey: (update: Update) => string | undefined
  handle: (update: Update) => Promise<void>
  /** Tells the person that their update could not be handled. */
  onFailed: (update: Update) => Promise<void>
}): InboxWorkers {
  const { store, drafts, runtime, log, signal } = options
  const running = new Map<string, Promise<void>>()

  async function watched(update: Update): Promise<void> {
    const done = new AbortController()
    const watchdog = runtime.sleep(WATCHDOG_MS, done.signal).then(
      () => Promise.reject(new TimedOut(`not handled within ${WATCHDOG_MS / 1000} s`)),
      () => undefined,
    )
    try {
      await Promise.race([options.handle(update), watchdog])
    } finally {
      done.abort()
    }
  }

  /** The draft and the mark on the update move together, or not at all. */
  function settle(row: InboxRow, status: 'done' | 'failed'): void {
    const key = options.draftKey(row.update)
    options.db.transaction(() => {
      if (key !== undefined && status === 'done') drafts.commit(key, runtime.now())
      if (key !== undefined && status === 'failed') drafts.drop(key)
      store.finish(row.updateId, status)
    })
  }

  async function handleOne(row: InboxRow): Promise<void> {
    for (let tries = row.attempts + 1; !signal.aborted; tries++) {
      store.noteAttempt(row.updateId)
      try {
        await watched(row.update)
        settle(row, 'done')
        return
      } catch (error) {
        const key = options.draftKey(row.update)
        if (key !== undefined) drafts.discard(key)
        if (signal.aborted) return
        const last = error instanceof TimedOut || tries >= (isPassing(error) ? PASSING_LIFE_TRIES : TRIES)
        log.error(
          { updateId: row.updateId, tries, error: safeFields(error) },
          'an update could not be handled',
        )
        if (last) {
          settle(row, 'failed')
          await options.onFailed(row.update).catch(() => undefined)
          return
        }
        const wait = Math.max(retryAfterMs(error) ?? 0, Math.min(250 * 2 ** tries, LONGEST_WAIT_MS))
        await runtime.sleep(wait, signal).catch(() => undefined)
      }
    }
  }

  async function run(queue: string): Promise<void> {
    // A turn of the event loop first: the transaction that brought the update must be through.
    await nextTurn()
    while (!signal.aborted) {
      try {
        const row = store.next(queue)
        // It is taken off in the same turn in which nothing is left, so no update comes in between.
        if (row === undefined) break
        await handleOne(row)
      } catch (error) {
        log.error({ error: safeFields(error) }, 'a queue of updates stopped; it goes on in a moment')
        await runtime.sleep(FAULT_PAUSE_MS, signal).catch(() => undefined)
      }
    }
    running.delete(queue)
  }

  function wake(queue: string): void {
    if (!running.has(queue) && !signal.aborted) running.set(queue, run(queue))
  }

  return {
    take(updates) {
      const rows = updates.map((update) => ({ update, queue: queueOf(update) }))
      store.add(rows, runtime.now())
      for (const queue of new Set(rows.map((row) => row.queue))) wake(queue)
    },
    resume() {
      for (const queue of store.queues()) wake(queue)
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled(running.values())
    },
  }
}
