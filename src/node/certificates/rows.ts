import type { Certificate } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'

/** A certificate of this node, as most need it: its private key stays sealed. Times are ms. */
export interface CertificateSettings extends Omit<Certificate, 'daysLeft'> {
  email: string | null
  /** PEM: the certificate first, then each by whom the one before was signed. */
  chain: string
  /** Renewals that failed one after the other, up to now. */
  failures: number
}

/** A certificate of this node, private key (PKCS #8, PEM) opened. */
export interface CertificateRecord extends CertificateSettings {
  key: string
}

interface RawCertificate extends Omit<CertificateRecord, 'autoRenew'> {
  autoRenew: number
}

const S = LOCAL_SERVER_ID

const columns = `domain, kind, challenge, directory, email, issuer, not_before as notBefore, not_after as notAfter, sha256,
  chain, key, auto_renew as autoRenew, next_try_at as nextTryAt, failures, last_error as lastError,
  created_at as createdAt, updated_at as updatedAt`

export type CertificateRows = ReturnType<typeof createCertificateRows>

/** What was deleted and not replaced, and when, ms. */
export function createDeletedCertificates(db: Sqlite) {
  const all = db.prepare(
    `select domain, deleted_at as deletedAt from deleted_certificates where server_id = ${S}`,
  )
  const at = db
    .prepare(`select deleted_at from deleted_certificates where server_id = ${S} and domain = ?`)
    .pluck()
  const bury = db.prepare(
    `insert into deleted_certificates (server_id, domain, deleted_at)
     select ${S}, @domain, @deletedAt
     where not exists (select 1 from certificates where server_id = ${S} and domain = @domain)
     on conflict (server_id, domain) do update set deleted_at = max(deleted_at, excluded.deleted_at)`,
  )
  const revive = db.prepare(`delete from deleted_certificates where server_id = ${S} and domain = ?`)
  return {
    all: () => all.all() as { domain: string; deletedAt: number }[],
    at: (domain: string) => at.get(domain) as number | undefined,
    /** It is gone, unless there is one. */
    bury: (domain: string, deletedAt: number): void => void bury.run({ domain, deletedAt }),
    /** There is one again. */
    revive: (domain: string): void => void revive.run(domain),
  }
}

/** This node's certificates. Only rows of the own server are ever read or written here. */
export function createCertificateRows(db: Sqlite, box: SecretBox) {
  const keyPlace = (domain: string): string => `certificates:${S}:${domain}:key`

  const byDomain = db.prepare(`select ${columns} from certificates where server_id = ${S} and domain = ?`)
  const all = db.prepare(`select ${columns} from certificates where server_id = ${S} order by domain`)
  const put = db.prepare(
    `insert into certificates (server_id, domain, kind, challenge, directory, email, issuer, not_before, not_after, sha256,
       chain, key, auto_renew, next_try_at, failures, last_error, created_at, updated_at)
     values (${S}, @domain, @kind, @challenge, @directory, @email, @issuer, @notBefore, @notAfter, @sha256,
       @chain, @key, @autoRenew, @nextTryAt, @failures, @lastError, @createdAt, @updatedAt)
     on conflict (server_id, domain) do update set kind = excluded.kind, challenge = excluded.challenge,
       directory = excluded.directory, email = excluded.email, issuer = excluded.issuer,
       not_before = excluded.not_before, not_after = excluded.not_after, sha256 = excluded.sha256,
       chain = excluded.chain, key = excluded.key, auto_renew = excluded.auto_renew,
       next_try_at = excluded.next_try_at, failures = excluded.failures, last_error = excluded.last_error,
       updated_at = excluded.updated_at`,
  )
  const deleted = createDeletedCertificates(db)
  const remove = db.prepare(`delete from certificates where server_id = ${S} and domain = ?`)
  const noteFailure = db.prepare(
    `update certificates set failures = @failures, last_error = @lastError, next_try_at = @nextTryAt
     where server_id = ${S} and domain = @domain and sha256 = @sha256`,
  )

  function settings(raw: unknown): CertificateSettings {
    const { key: _, ...row } = raw as RawCertificate
    return { ...row, autoRenew: row.autoRenew === 1 }
  }

  function find(domain: string): CertificateSettings | undefined {
    const raw = byDomain.get(domain)
    return raw === undefined ? undefined : settings(raw)
  }

  return {
    find,
    all: () => all.all().map(settings),

    /** With its key opened. @throws FleetError SECRET_UNREADABLE */
    open(domain: string): CertificateRecord | undefined {
      const raw = byDomain.get(domain) as RawCertificate | undefined
      return raw === undefined ? undefined : { ...settings(raw), key: box.open(raw.key, keyPlace(domain)) }
    },

    save(row: CertificateRecord): void {
      put.run({ ...row, autoRenew: row.autoRenew ? 1 : 0, key: box.seal(row.key, keyPlace(row.domain)) })
      deleted.revive(row.domain)
    },

    remove(domain: string, now: number): void {
      remove.run(domain)
      deleted.bury(domain, now)
    },

    /** What came of a renewal that failed, unless the certificate is another one by now. */
    noteFailure(
      row: Pick<CertificateSettings, 'domain' | 'sha256'>,
      failure: { failures: number; lastError: string; nextTryAt: number },
    ): void {
      noteFailure.run({ domain: row.domain, sha256: row.sha256, ...failure })
    },
  }
}
