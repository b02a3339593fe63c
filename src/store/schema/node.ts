/** What stands on a server: inbounds, clients and traffic; and how a node and its mirrors keep count of changes. */
import { sql } from 'drizzle-orm'
import {
  check,
  foreignKey,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core'
import type { InboundStream, Protocol, ProtocolSettings, Sniffing } from '#src/contract/index.ts'
import { flag, json } from './columns.ts'
import { servers } from './servers.ts'

/** What inbounds and clients have in common: how much, how long, and whether that is used up. */
const limits = {
  limitBytes: integer('limit_bytes'),
  expiresAt: integer('expires_at'),
  /** When its own count of traffic begins anew. */
  nextResetAt: integer('next_reset_at'),
  /** Why it is closed though it is enabled. */
  blocked: text({ enum: ['traffic', 'expired', 'addresses'] }),
}

export const inbounds = sqliteTable(
  'inbounds',
  {
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    id: integer().notNull(),
    tag: text().notNull(),
    remark: text().notNull(),
    protocol: text().$type<Protocol>().notNull(),
    listen: text().notNull(),
    port: integer().notNull(),
    stream: json<InboundStream>('stream').notNull(),
    /** What the protocol is told; its shape follows from the protocol. */
    settings: json<ProtocolSettings['settings']>('settings').notNull().default({}),
    /** Keys as JSON, sealed. In a mirror only those that stand in links: the others never leave their server. */
    secrets: text(),
    sniffing: json<Sniffing>('sniffing').notNull(),
    enabled: flag('enabled').notNull(),
    ...limits,
    trafficReset: text('traffic_reset', { enum: ['never', 'daily', 'weekly', 'monthly'] })
      .notNull()
      .default('never'),
    rowVersion: integer('row_version').notNull(),
    changeSeq: integer('change_seq').notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.id] }),
    uniqueIndex('inbounds_tag').on(t.serverId, t.tag),
    index('inbounds_change').on(t.serverId, t.changeSeq),
    check('inbounds_port', sql`${t.port} between 1 and 65535`),
  ],
)

export const clients = sqliteTable(
  'clients',
  {
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    id: integer().notNull(),
    email: text().notNull(),
    /** The name in lower case, as Xray compares it; SQLite's own nocase knows ASCII alone. */
    emailKey: text('email_key').notNull(),
    /** `{ uuid, password, subscriptionId }` as JSON, sealed. */
    credentials: text().notNull(),
    flow: text({ enum: ['', 'xtls-rprx-vision'] }).notNull(),
    enabled: flag('enabled').notNull(),
    comment: text().notNull(),
    ...limits,
    /** Days from first use on: `expires_at` is set when that comes. */
    lastsDays: integer('lasts_days'),
    resetDays: integer('reset_days'),
    ipLimit: integer('ip_limit'),
    telegramId: integer('telegram_id'),
    startedAt: integer('started_at'),
    rowVersion: integer('row_version').notNull(),
    changeSeq: integer('change_seq').notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.id] }),
    uniqueIndex('clients_email').on(t.serverId, t.emailKey),
    index('clients_change').on(t.serverId, t.changeSeq),
  ],
)

/** Which inbounds a client stands in. A change of a placement moves its client's row_version and change_seq. */
export const clientInbounds = sqliteTable(
  'client_inbounds',
  {
    serverId: integer('server_id').notNull(),
    clientId: integer('client_id').notNull(),
    inboundId: integer('inbound_id').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.clientId, t.inboundId] }),
    index('client_inbounds_inbound').on(t.serverId, t.inboundId),
    foreignKey({
      columns: [t.serverId, t.clientId],
      foreignColumns: [clients.serverId, clients.id],
    }).onDelete('cascade'),
    foreignKey({
      columns: [t.serverId, t.inboundId],
      foreignColumns: [inbounds.serverId, inbounds.id],
    }).onDelete('cascade'),
  ],
)

/** What was deleted, so that a mirror that was away hears of it. */
export const tombstones = sqliteTable(
  'tombstones',
  {
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    kind: text({ enum: ['inbound', 'client'] }).notNull(),
    id: integer().notNull(),
    changeSeq: integer('change_seq').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.kind, t.id] }),
    index('tombstones_change').on(t.serverId, t.changeSeq),
  ],
)

/**
 * Where a server's change log stands: for the own node the source, for another server the position its mirror has
 * reached.
 */
export const syncStates = sqliteTable('sync_states', {
  serverId: integer('server_id')
    .primaryKey()
    .references(() => servers.id, { onDelete: 'cascade' }),
  /** Names the life of that server's database: a new one after a restore. Empty: never synchronised. */
  epoch: text().notNull(),
  changeSeq: integer('change_seq').notNull(),
  trafficSeq: integer('traffic_seq').notNull(),
  /** The next id for an inbound or client of the own node; ids are never reused. */
  nextId: integer('next_id').notNull().default(1),
  /** When a mirror last heard from its server. */
  syncedAt: integer('synced_at'),
})

/** From where each client has come. */
export const inboundClientIps = sqliteTable(
  'inbound_client_ips',
  {
    serverId: integer('server_id').notNull(),
    clientId: integer('client_id').notNull(),
    address: text().notNull(),
    firstSeenAt: integer('first_seen_at').notNull(),
    lastSeenAt: integer('last_seen_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.clientId, t.address] }),
    foreignKey({
      columns: [t.serverId, t.clientId],
      foreignColumns: [clients.serverId, clients.id],
    }).onDelete('cascade'),
  ],
)

/** How connections leave a server: outbounds and rules, one document. */
export const routings = sqliteTable('routings', {
  serverId: integer('server_id')
    .primaryKey()
    .references(() => servers.id, { onDelete: 'cascade' }),
  /** As JSON, sealed: outbounds hold credentials. */
  document: text().notNull(),
  rowVersion: integer('row_version').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

/**
 * What a node did under each Idempotency-Key: `applying` from the commit of the rows until Xray has followed. No index
 * but the key: it is written twice per change, and searched otherwise only at a start.
 */
export const appliedTasks = sqliteTable('applied_tasks', {
  key: text().primaryKey(),
  operation: text().notNull(),
  /** SHA-256 of the canonical input: the same key with another input is a conflict. */
  inputHash: text('input_hash').notNull(),
  status: text({ enum: ['applying', 'applied', 'failed'] }).notNull(),
  /** How to take the rows back if Xray refuses: rows as JSON, their secret columns sealed; null once settled. */
  undo: text(),
  /** The answer, sealed: it may hold credentials. */
  result: text(),
  error: json<{ code: string; details: Record<string, string | number | boolean | null> }>('error'),
  createdAt: integer('created_at').notNull(),
  finishedAt: integer('finished_at'),
})
