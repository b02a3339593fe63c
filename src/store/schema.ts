/**
 * One schema for controller and agent. An agent sees itself as server 1; a controller holds its own node's rows as
 * server 1 too and, for every other server, a mirror of the same tables. Rows of a server are keyed
 * `(server_id, id)`, where the id is the one that server gave: never reused, and never taken from a payload
 * together with the server_id, which the connection alone decides.
 *
 * Times are ms since the epoch, sizes are bytes. A `sealed` column holds AES-256-GCM ciphertext (trust/secret-box).
 */
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
import type { InboundStream } from '#src/contract/index.ts'

const flag = (name: string) => integer(name, { mode: 'boolean' })
const json = <T>(name: string) => text(name, { mode: 'json' }).$type<T>()

export const serverStatuses = ['pending', 'online', 'offline', 'error'] as const
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
    lastError: text('last_error'),
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

export const inbounds = sqliteTable(
  'inbounds',
  {
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    id: integer().notNull(),
    tag: text().notNull(),
    remark: text().notNull(),
    protocol: text({ enum: ['vless'] }).notNull(),
    listen: text().notNull(),
    port: integer().notNull(),
    stream: json<InboundStream>('stream').notNull(),
    /** Private keys as JSON, sealed. Null in a mirror: they never leave their server. */
    secrets: text(),
    sniffing: json<{ enabled: boolean; destOverride: ('http' | 'tls' | 'quic' | 'fakedns')[] }>(
      'sniffing',
    ).notNull(),
    enabled: flag('enabled').notNull(),
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
    /** `{ uuid, subscriptionId }` as JSON, sealed. */
    credentials: text().notNull(),
    flow: text({ enum: ['', 'xtls-rprx-vision'] }).notNull(),
    enabled: flag('enabled').notNull(),
    comment: text().notNull(),
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

/** Lifetime counters: they only grow. */
const lifetime = {
  up: integer('up').notNull().default(0),
  down: integer('down').notNull().default(0),
  trafficSeq: integer('traffic_seq').notNull(),
}

export const clientTraffics = sqliteTable(
  'client_traffics',
  {
    serverId: integer('server_id').notNull(),
    clientId: integer('client_id').notNull(),
    ...lifetime,
    /** The part of the lifetime counters that lies before the last reset. */
    resetUp: integer('reset_up').notNull().default(0),
    resetDown: integer('reset_down').notNull().default(0),
    lastActiveAt: integer('last_active_at'),
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.clientId] }),
    index('client_traffics_seq').on(t.serverId, t.trafficSeq),
    foreignKey({
      columns: [t.serverId, t.clientId],
      foreignColumns: [clients.serverId, clients.id],
    }).onDelete('cascade'),
  ],
)

export const inboundTraffics = sqliteTable(
  'inbound_traffics',
  { serverId: integer('server_id').notNull(), inboundId: integer('inbound_id').notNull(), ...lifetime },
  (t) => [
    primaryKey({ columns: [t.serverId, t.inboundId] }),
    index('inbound_traffics_seq').on(t.serverId, t.trafficSeq),
    foreignKey({
      columns: [t.serverId, t.inboundId],
      foreignColumns: [inbounds.serverId, inbounds.id],
    }).onDelete('cascade'),
  ],
)

export const outboundTraffics = sqliteTable(
  'outbound_traffics',
  {
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    tag: text().notNull(),
    ...lifetime,
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.tag] }),
    index('outbound_traffics_seq').on(t.serverId, t.trafficSeq),
  ],
)

/**
 * The last reading of each of Xray's own counters, and the start of Xray it belongs to: the next reading minus
 * this one is new traffic. Kept by counter name, because Xray's counters outlive the removal of a user.
 */
export const xrayCounters = sqliteTable('xray_counters', {
  name: text().primaryKey(),
  xrayStart: text('xray_start').notNull(),
  value: integer().notNull(),
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
    kind: text({ enum: ['offline', 'error'] }).notNull(),
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

/** Small facts that are no rows of a table: the sealed CA key, the identity of a joined agent. */
export const settings = sqliteTable('settings', {
  key: text().primaryKey(),
  /** Plain or sealed, as the key's owner decides. */
  value: text().notNull(),
})

/** One-time permissions to join. Only the hash of the secret is kept. */
export const joinTokens = sqliteTable('join_tokens', {
  id: text().primaryKey(),
  serverId: integer('server_id')
    .notNull()
    .references(() => servers.id, { onDelete: 'cascade' }),
  secretHash: text('secret_hash').notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  usedAt: integer('used_at'),
})

/** The allow-list: public keys that may speak for a server. */
export const identities = sqliteTable(
  'identities',
  {
    /** SHA-256 of the SubjectPublicKeyInfo, base64url. */
    spkiHash: text('spki_hash').primaryKey(),
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    serial: text().notNull(),
    notAfter: integer('not_after').notNull(),
    revokedAt: integer('revoked_at'),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [index('identities_server').on(t.serverId)],
)

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
