import type { Sqlite } from '#src/store/open.ts'

interface NewIdentity {
  spkiHash: string
  serverId: number
  /** Hexadecimal, of the newest certificate for this key. */
  serial: string
  /** ms */
  notAfter: number
}

/** The allow-list: which public keys may speak for which server. What is not in it may not. */
export interface Identities {
  isAllowed(spkiHash: string, serverId: number): boolean
  /** Nothing speaks for this server any more, until it joins again. Open connections are the caller's to close. */
  revoke(serverId: number): void
  /**
   * Makes this key the only one of its server.
   * @returns false when the key is revoked, or another server's: then nothing was changed.
   */
  admit(identity: NewIdentity): boolean
}

export function createIdentities(options: { db: Sqlite; runtime: { now(): number } }): Identities {
  const { db, runtime } = options
  const allowed = db.prepare(
    'select 1 from identities where spki_hash = ? and server_id = ? and revoked_at is null',
  )
  const revokeAll = db.prepare(
    'update identities set revoked_at = ? where server_id = ? and spki_hash <> ? and revoked_at is null',
  )
  const admit = db.prepare(
    `insert into identities (spki_hash, server_id, serial, not_after, created_at) values (?, ?, ?, ?, ?)
     on conflict (spki_hash) do update set serial = excluded.serial, not_after = excluded.not_after
     where server_id = excluded.server_id and revoked_at is null`,
  )
  return {
    isAllowed: (spkiHash, serverId) => allowed.get(spkiHash, serverId) !== undefined,
    revoke: (serverId) => {
      revokeAll.run(runtime.now(), serverId, '')
    },
    admit: db.transaction((identity: NewIdentity) => {
      const now = runtime.now()
      const { changes } = admit.run(
        identity.spkiHash,
        identity.serverId,
        identity.serial,
        identity.notAfter,
        now,
      )
      if (changes === 0) return false
      revokeAll.run(now, identity.serverId, identity.spkiHash)
      return true
    }),
  }
}
