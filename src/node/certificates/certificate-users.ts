import type { InboundStream } from '#src/contract/index.ts'
import type { InboundSettings } from '../rows/records.ts'
import type { Rows } from '../rows/rows.ts'

/** The inbounds that show certificates of this server. */
export interface CertificateUsers {
  /** Those that are enabled. */
  enabled: (domain: string) => readonly { id: number; tag: string }[]
  /** Ids of those whose links pin another certificate than this. @param pin hexadecimal; null: links pin none */
  pinningOther: (domain: string, pin: string | null) => number[]
  /** Writes what links of these inbounds are to pin; inside the transaction of the certificate's change. */
  repin: (ids: readonly number[], pin: string | null, changeSeq: number, now: number) => void
}

export function createCertificateUsers(
  rows: Pick<Rows, 'allInboundSettings' | 'inbound' | 'saveInbound'>,
): CertificateUsers {
  const usersOf = (domain: string): InboundSettings[] =>
    rows.allInboundSettings().filter(({ stream }) => domainOf(stream) === domain)

  return {
    enabled: (domain) => usersOf(domain).filter(({ enabled }) => enabled),

    pinningOther: (domain, pin) =>
      usersOf(domain)
        .filter(({ stream: { security } }) => security.type === 'tls' && security.pin !== pin)
        .map(({ id }) => id),

    repin(ids, pin, changeSeq, now) {
      for (const id of ids) {
        const row = rows.inbound(id)
        if (row === undefined || row.stream.security.type !== 'tls') continue
        const stream: InboundStream = { ...row.stream, security: { ...row.stream.security, pin } }
        rows.saveInbound({ ...row, stream, rowVersion: row.rowVersion + 1, changeSeq, updatedAt: now })
      }
    },
  }
}

/** The domain of the certificate of this server that is shown; null: none is. */
export function domainOf({ security }: InboundStream): string | null {
  if (security.type !== 'tls' || security.certificate.source !== 'store') return null
  return security.certificate.domain
}
