/** What was moved: lifetime counters, days, and the readings they are made of. */
import { foreignKey, index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { clients, inbounds } from './node.ts'
import { servers } from './servers.ts'

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
    /** The lifetime counters together when days from first use were last given: what is moved after is a use. */
    unusedUntil: integer('unused_until').notNull().default(0),
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
  {
    serverId: integer('server_id').notNull(),
    inboundId: integer('inbound_id').notNull(),
    ...lifetime,
    resetUp: integer('reset_up').notNull().default(0),
    resetDown: integer('reset_down').notNull().default(0),
  },
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
 * What was moved on each day, UTC. Rows of what is gone stay until they are too old: the days of a server still add
 * up.
 */
export const trafficDays = sqliteTable(
  'traffic_days',
  {
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    kind: text({ enum: ['client', 'inbound', 'outbound'] }).notNull(),
    /** The id of a client or an inbound, the tag of an outbound. */
    subject: text().notNull(),
    /** Days since 1970-01-01. */
    day: integer().notNull(),
    up: integer('up').notNull(),
    down: integer('down').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.kind, t.subject, t.day] }),
    index('traffic_days_day').on(t.day),
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
