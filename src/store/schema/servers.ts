/** The fleet: its servers, and the journal of every change to them. */
import { sql } from 'drizzle-orm'
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { CodedError } from '#src/errors.ts'
import { flag, json } from './columns.ts'

/** partly: its Xray runs, without some inbounds or with an older configuration. */
export const serverStatuses = ['pending', 'online', 'offline', 'error', 'partly'] as const
export type ServerStatus = (typeof serverStatuses)[number]

export const servers = sqliteTable(
  'servers',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    name: text().notNull(),
    /** The name in lower case: two servers must not differ in case alone. */
    nameKey: text('name_key').notNull(),
    kind: text({ enum: ['local', 'agent'] }).notNull(),
    /** https://host:port of an agent that is dialled directly; null until it has joined, and for the local server. */
    endpoint: text(),
    /** The host that stands in share links. */
    publicAddress: text('public_address'),
    region: text().notNull().default(''),
    tags: json<string[]>('tags').notNull().default([]),
    notes: text().notNull().default(''),
    /** The name on the public status page, where the real one must not be shown; empty: not shown there. */
    alias: text().notNull().default(''),
    status: text({ enum: serverStatuses }).notNull().default('pending'),
    enabled: flag('enabled').notNull().default(true),
    lastSeen: integer('last_seen'),
    /** In English, for logs and programs. */
    lastError: text('last_error'),
    /** The same, for people of any language; null: it is well, or a release has written it that did not know this. */
    problem: json<CodedError>('problem'),
    version: text(),
    xrayVersion: text('xray_version'),
    osInfo: text('os_info'),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [uniqueIndex('servers_name').on(t.nameKey)],
)

export const taskStatuses = [
  'pending',
  'running',
  'applied',
  'unchanged',
  'failed',
  'cancelled',
  'expired',
  'skipped',
] as const
export type TaskStatus = (typeof taskStatuses)[number]

/** Who asked for a change and from where. */
export interface Actor {
  kind: 'telegram' | 'system' | 'api'
  /** The Telegram user id, or the name of the job. */
  id: string
  /** The chat it was asked in, where there is one. */
  chat?: string
}

/** The journal: every change before it is sent, and what became of it. */
export const serverTasks = sqliteTable(
  'server_tasks',
  {
    /** Also the Idempotency-Key. */
    id: text().primaryKey(),
    /** Order of tasks; per server they are carried out in this order. */
    seq: integer().notNull(),
    batch: text().notNull(),
    /** No foreign key: what was done to a server stays on record when the server is gone. */
    serverId: integer('server_id').notNull(),
    operation: text().notNull(),
    /** The input as JSON with every secret field removed: safe to show. */
    input: json<unknown>('input').notNull(),
    /** The removed fields, sealed; null where there are none. */
    secrets: text(),
    actor: json<Actor>('actor').notNull(),
    status: text({ enum: taskStatuses }).notNull(),
    attempts: integer().notNull().default(0),
    nextAttemptAt: integer('next_attempt_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
    /** The answer, sealed: a client's answer holds its credentials. */
    result: text(),
    error: json<{ code: string; message: string; details: Record<string, unknown> }>('error'),
    createdAt: integer('created_at').notNull(),
    finishedAt: integer('finished_at'),
    /** SHA-256 over the previous row's hash and this row's unchanging fields: a changed or missing row shows. */
    hash: text().notNull(),
  },
  (t) => [
    uniqueIndex('server_tasks_seq').on(t.seq),
    index('server_tasks_open')
      .on(t.serverId, t.seq)
      .where(sql`${t.status} in ('pending', 'running')`),
    index('server_tasks_batch').on(t.batch),
  ],
)
