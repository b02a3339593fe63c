/**
 * One schema for controller and agent. An agent sees itself as server 1; a controller holds its own node's rows as
 * server 1 too and, for every other server, a mirror of the same tables. Rows of a server are keyed
 * `(server_id, id)`, where the id is the one that server gave: never reused, and never taken from a payload
 * together with the server_id, which the connection alone decides.
 *
 * Times are ms since the epoch, sizes are bytes. A `sealed` column holds AES-256-GCM ciphertext (trust/secret-box).
 */
export * from './schema/servers.ts'
export * from './schema/node.ts'
export * from './schema/traffic.ts'
export * from './schema/certificates.ts'
export * from './schema/health.ts'
export * from './schema/trust.ts'
export * from './schema/bot.ts'
