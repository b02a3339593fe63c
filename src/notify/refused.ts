import { and, desc, eq } from 'drizzle-orm'
import type { RefusedChange } from '#src/fleet/types.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import { type Db, tables } from '#src/store/drizzle.ts'
import type { Messages } from './messages.ts'
import { enqueue } from './outbox.ts'

const { outbox } = tables

/** ms. Whoever asked looks on for so long and sees the answer itself. Later it needs a message of its own. */
const LATE_MS = 60_000
/** ms. Of many changes that waited for one server most are refused at its return, within moments: one message. */
const GATHER_MS = 3_000
/** More are counted alone. */
const MOST_NAMED = 10

export interface RefusalsOptions {
  db: Db
  runtime: Pick<Runtime, 'now'>
  log: Pick<Log, 'error'>
  /** Whether this person still is somebody whom the fleet's affairs concern. @param user a Telegram user id */
  mayHear: (user: string) => boolean
  /** Called when there is something new in the outbox. */
  wake: () => void
}

/**
 * Tells who asked for a change, and has long gone on to something else, that it will not be made.
 * @returns what is to be called inside the transaction that records it
 */
export function createRefusals({ db, runtime, log, mayHear, wake }: RefusalsOptions) {
  return ({ task, actor }: RefusedChange): void => {
    const { chat } = actor
    const now = runtime.now()
    if (actor.kind !== 'telegram' || chat === undefined || !mayHear(actor.id)) return
    if (task.error === null || now - task.createdAt < LATE_MS) return
    const { serverId, serverName, error } = task
    const change = { batch: task.batch, task: task.id, reason: { code: error.code, details: error.details } }

    const waiting = db
      .select()
      .from(outbox)
      .where(and(eq(outbox.chat, chat), eq(outbox.kind, 'changesRefused'), eq(outbox.status, 'queued')))
      .orderBy(desc(outbox.id))
      .all()
      .find((row) => (row.payload as Messages['changesRefused']).serverId === serverId)
    if (waiting === undefined) {
      const payload = { serverId, serverName, changes: [change], count: 1 }
      const notBefore = now + GATHER_MS
      const key = `refused:${task.id}`
      enqueue(db, { chat, key, kind: 'changesRefused', payload, silent: false, now, notBefore })
    } else {
      const { changes, count, ...about } = waiting.payload as Messages['changesRefused']
      const payload = {
        ...about,
        changes: [...changes, change].slice(0, MOST_NAMED),
        count: count + 1,
      } satisfies Messages['changesRefused']
      db.update(outbox).set({ payload }).where(eq(outbox.id, waiting.id)).run()
    }
    // Once the transaction is through, which is this turn's.
    queueMicrotask(() => {
      try {
        wake()
      } catch (error) {
        log.error({ err: error }, 'the outbox was not woken; it is with the next message')
      }
    })
  }
}
