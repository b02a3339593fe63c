/** Keys, permissions to join, and who may speak for a server. */
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { servers } from './servers.ts'

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
