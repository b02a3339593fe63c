/** The certificates a server holds for its TLS inbounds. */
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { flag } from './columns.ts'
import { servers } from './servers.ts'

export const certificates = sqliteTable(
  'certificates',
  {
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    /** The name, or the IP address, it is held for: inbounds refer to it by this. */
    domain: text().notNull(),
    kind: text({ enum: ['acme', 'self-signed', 'imported'] }).notNull(),
    /** How it was proven to the certificate authority that the domain is this machine; null unless kind is acme. */
    challenge: text({ enum: ['http-01', 'tls-alpn-01'] }),
    /** The authority's directory it was ordered from, and the address it may write to; null unless kind is acme. */
    directory: text(),
    email: text(),
    issuer: text().notNull(),
    /** ms */
    notBefore: integer('not_before').notNull(),
    notAfter: integer('not_after').notNull(),
    /** SHA-256 of the certificate itself (DER), hexadecimal: what share links pin. */
    sha256: text().notNull(),
    /** PEM: the certificate first, then each by whom the one before was signed. */
    chain: text().notNull(),
    /** The private key, PKCS #8 in PEM, sealed. */
    key: text().notNull(),
    autoRenew: flag('auto_renew').notNull(),
    /** When it is to be renewed, or tried again; null: never. */
    nextTryAt: integer('next_try_at'),
    /** Renewals that failed, one after the other, up to now; and the reason of the last. */
    failures: integer().notNull().default(0),
    lastError: text('last_error'),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.serverId, t.domain] }),
    index('certificates_next_try').on(t.serverId, t.nextTryAt),
  ],
)

/** Certificates that were deleted, and not replaced: a backup from before must not bring them, and their keys, back. */
export const deletedCertificates = sqliteTable(
  'deleted_certificates',
  {
    serverId: integer('server_id')
      .notNull()
      .references(() => servers.id, { onDelete: 'cascade' }),
    domain: text().notNull(),
    /** ms */
    deletedAt: integer('deleted_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.serverId, t.domain] })],
)
