import { and, eq, inArray, sql } from 'drizzle-orm'
import { type Db, tables } from '#src/store/drizzle.ts'
import type { Message, Messages } from './messages.ts'

const { outbox } = tables

/** The database, or a transaction on it. */
export type Tx = Pick<Db, 'select' | 'insert' | 'update'>

export type OutboxRow = typeof outbox.$inferSelect

/** Rows that are not settled. Written as the partial index has it, or SQLite would read the whole table. */
export const isOpen = sql`${outbox.status} in ('queued', 'sending')`

/** The two messages of one incident. Same incident, same keys: saying it again changes nothing. */
export const downKey = (incidentId: number): string => `incident:${incidentId}:down`
export const upKey = (incidentId: number): string => `incident:${incidentId}:up`

/**
 * Puts a message into a chat's queue, in the transaction that makes it true. A key that the chat's queue has
 * seen is left alone. A recovery whose outage is still waiting takes its place, and tells both.
 */
export function enqueue(
  tx: Tx,
  message: Message & { chat: string; key: string; silent: boolean; now: number; notBefore?: number },
): void {
  const { chat, key, kind, payload, silent, now, notBefore: nextAttemptAt = now } = message
  tx.insert(outbox)
    .values({ chat, key, kind, payload, silent, status: 'queued', nextAttemptAt, createdAt: now })
    .onConflictDoNothing()
    .run()
  if (kind === 'serverUp') collapse(tx, chat, key)
}

/**
 * Makes one message of an incident's two, if both still wait in this chat. `key` is that of either; any other
 * key is left alone.
 */
export function collapse(tx: Tx, chat: string, key: string): void {
  const incident = /^incident:(\d+):(?:down|up)$/.exec(key)
  if (incident === null) return
  const keys = [downKey(Number(incident[1])), upKey(Number(incident[1]))]
  const rows = tx
    .select()
    .from(outbox)
    .where(and(eq(outbox.chat, chat), inArray(outbox.key, keys), eq(outbox.status, 'queued')))
    .all()
  const down = rows.find((row) => row.kind === 'serverDown')
  const up = rows.find((row) => row.kind === 'serverUp')
  if (down === undefined || up === undefined) return

  const { state, reason } = down.payload as Messages['serverDown']
  const payload: Messages['serverDownAndUp'] = { ...(up.payload as Messages['serverUp']), state, reason }
  tx.update(outbox).set({ status: 'dropped' }).where(eq(outbox.id, down.id)).run()
  tx.update(outbox)
    // The chat asked for patience, or failed before: that holds for whatever is sent next.
    .set({ kind: 'serverDownAndUp', payload, attempts: down.attempts, nextAttemptAt: down.nextAttemptAt })
    .where(eq(outbox.id, up.id))
    .run()
}

/** Takes back what waits in any chat's queue under this key. */
export function drop(tx: Tx, key: string): void {
  tx.update(outbox)
    .set({ status: 'dropped' })
    .where(and(eq(outbox.key, key), eq(outbox.status, 'queued')))
    .run()
}

/** Chats that were told of this, or will be. */
export function chatsWith(tx: Tx, key: string): string[] {
  return tx
    .select({ chat: outbox.chat })
    .from(outbox)
    .where(and(eq(outbox.key, key), inArray(outbox.status, ['queued', 'sending', 'sent'])))
    .all()
    .map((row) => row.chat)
}

/** Takes back what waits about servers other than these: they were removed or switched off. */
export function dropExcept(tx: Tx, serverIds: ReadonlySet<number>): void {
  const about = sql<number | null>`json_extract(${outbox.payload}, '$.serverId')`
  const waiting = tx
    .select({ id: outbox.id, serverId: about })
    .from(outbox)
    .where(and(isOpen, eq(outbox.status, 'queued')))
    .all()
  const stale = waiting.filter(({ serverId }) => serverId !== null && !serverIds.has(serverId))
  for (const { id } of stale) tx.update(outbox).set({ status: 'dropped' }).where(eq(outbox.id, id)).run()
}
