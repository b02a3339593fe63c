/** How the servers are, how they were, and what must be said about it. */
import { sql } from 'drizzle-orm'
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { flag, json } from './columns.ts'
import { serverStatuses, servers } from './servers.ts'

/** What can be wrong with a server. */
export const incidentKinds = ['offline', 'error', 'partly'] as const
export type IncidentKind = (typeof incidentKinds)[number]

/** Health's persisted state per server: one row is the whole truth, timers are timestamps in it. */
export const serverHealth = sqliteTable('server_health', {
  serverId: integer('server_id')
    .primaryKey()
    .references(() => servers.id, { onDelete: 'cascade' }),
  state: json<unknown>('state').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

export const serverTransitions = sqliteTable(
  'server_transitions',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    from: text({ enum: serverStatuses }).notNull(),
    to: text({ enum: serverStatuses }).notNull(),
    reason: text(),
    at: integer().notNull(),
  },
  (t) => [index('server_transitions_at').on(t.serverId, t.at)],
)

/** What is wrong, from when to when. */
export const incidents = sqliteTable(
  'incidents',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    kind: text({ enum: incidentKinds }).notNull(),
    reason: text(),
    openedAt: integer('opened_at').notNull(),
    closedAt: integer('closed_at'),
  },
  (t) => [
    uniqueIndex('incidents_open')
      .on(t.serverId)
      .where(sql`${t.closedAt} is null`),
  ],
)

/** What must still be said, and to whom. Rows are sent per chat in order of id. */
export const outbox = sqliteTable(
  'outbox',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    chat: text().notNull(),
    /** One event is said to one chat once: `incident:12:opened`. */
    key: text().notNull(),
    kind: text().notNull(),
    /** The facts; the words are made when it is sent, in the reader's language. */
    payload: json<unknown>('payload').notNull(),
    silent: flag('silent').notNull().default(false),
    status: text({ enum: ['queued', 'sending', 'sent', 'dropped', 'dead'] }).notNull(),
    attempts: integer().notNull().default(0),
    nextAttemptAt: integer('next_attempt_at').notNull(),
    messageId: integer('message_id'),
    lastError: text('last_error'),
    createdAt: integer('created_at').notNull(),
    sentAt: integer('sent_at'),
  },
  (t) => [
    uniqueIndex('outbox_key').on(t.chat, t.key),
    index('outbox_open')
      .on(t.chat, t.id)
      .where(sql`${t.status} in ('queued', 'sending')`),
  ],
)
