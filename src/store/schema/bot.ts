/** What the bot keeps of its conversations. */
import { sql } from 'drizzle-orm'
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { json } from './columns.ts'
import { servers } from './servers.ts'

/** Telegram updates, committed before they are confirmed, so that a kill loses no tap. */
export const updateInbox = sqliteTable(
  'update_inbox',
  {
    updateId: integer('update_id').primaryKey(),
    /** Updates of one queue are handled in order. */
    queue: text().notNull(),
    /** The update as JSON, sealed: a person may type a secret. Null once handled. */
    body: text(),
    status: text({ enum: ['pending', 'done', 'failed'] }).notNull(),
    attempts: integer().notNull().default(0),
    receivedAt: integer('received_at').notNull(),
  },
  (t) => [
    index('update_inbox_open')
      .on(t.queue, t.updateId)
      .where(sql`${t.status} = 'pending'`),
  ],
)

/** Conversation state and other bot sessions, by `${chat}:${thread}:${from}`; sealed, as people type secrets. */
export const drafts = sqliteTable('drafts', {
  key: text().primaryKey(),
  value: text().notNull(),
  updatedAt: integer('updated_at').notNull(),
})

/** What the bot knows of a chat: its one live message, its language, the server it has chosen. */
export const chats = sqliteTable('chats', {
  id: text().primaryKey(),
  screenMessageId: integer('screen_message_id'),
  /** The address of the screen shown there, so that it can be drawn again after a restart. */
  screen: text(),
  language: text(),
  serverId: integer('server_id').references(() => servers.id, { onDelete: 'set null' }),
  updatedAt: integer('updated_at').notNull(),
})

/** Single-use nonces behind buttons that change something. */
export const taps = sqliteTable('taps', {
  nonce: text().primaryKey(),
  chat: text().notNull(),
  userId: text('user_id').notNull(),
  action: json<unknown>('action').notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  usedAt: integer('used_at'),
})
