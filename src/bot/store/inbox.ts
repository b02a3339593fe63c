import { and, asc, eq, lt, ne, sql } from 'drizzle-orm'
import type { Update } from 'grammy/types'
import { type Db, tables } from '#src/store/drizzle.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'

const inbox = tables.updateInbox

export interface InboxRow {
  updateId: number
  attempts: number
  update: Update
}

export interface InboxStore {
  /** Commits updates in one transaction. What is there already stays as it is. */
  add(updates: { update: Update; queue: string }[], now: number): void
  /** Queues with something to do. */
  queues(): string[]
  /** The oldest update of a queue that is not handled yet. */
  next(queue: string): InboxRow | undefined
  noteAttempt(updateId: number): void
  /** The body goes with it: nothing a person typed is kept. */
  finish(updateId: number, status: 'done' | 'failed'): void
  /** Forgets what was handled before `before` (ms): long after Telegram would send it again. */
  prune(before: number): void
}

export function createInboxStore(db: Db, box: SecretBox): InboxStore {
  const place = (updateId: number): string => `update_inbox:${updateId}:body`
  return {
    add(updates, now) {
      db.transaction((tx) => {
        for (const { update, queue } of updates) {
          const updateId = update.update_id
          const body = box.seal(JSON.stringify(update), place(updateId))
          tx.insert(inbox)
            .values({ updateId, queue, body, status: 'pending', receivedAt: now })
            .onConflictDoNothing()
            .run()
        }
      })
    },
    queues: () =>
      db
        .selectDistinct({ queue: inbox.queue })
        .from(inbox)
        .where(eq(inbox.status, 'pending'))
        .all()
        .map((row) => row.queue),
    next(queue) {
      const row = db
        .select()
        .from(inbox)
        .where(and(eq(inbox.queue, queue), eq(inbox.status, 'pending')))
        .orderBy(asc(inbox.updateId))
        .limit(1)
        .get()
      if (row === undefined || row.body === null) return undefined
      const update = JSON.parse(box.open(row.body, place(row.updateId))) as Update
      return { updateId: row.updateId, attempts: row.attempts, update }
    },
    noteAttempt(updateId) {
      db.update(inbox)
        .set({ attempts: sql`${inbox.attempts} + 1` })
        .where(eq(inbox.updateId, updateId))
        .run()
    },
    finish(updateId, status) {
      db.update(inbox).set({ status, body: null }).where(eq(inbox.updateId, updateId)).run()
    },
    prune(before) {
      db.delete(inbox)
        .where(and(ne(inbox.status, 'pending'), lt(inbox.receivedAt, before)))
        .run()
    },
  }
}
