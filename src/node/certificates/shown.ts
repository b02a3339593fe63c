import type { Certificate } from '#src/contract/index.ts'
import { daysLeft } from './renewal.ts'
import type { CertificateSettings } from './rows.ts'

/** A certificate as it is told: never its key. @param now ms */
export function shown(settings: CertificateSettings, now: number): Certificate {
  const { chain: _chain, failures: _failures, email: _email, ...row } = settings
  return { ...row, daysLeft: daysLeft(row, now) }
}

/** Apps accept what an authority vouches for; a certificate that vouches for itself must be pinned. */
export function pinFor({ kind, sha256 }: Pick<CertificateSettings, 'kind' | 'sha256'>): string | null {
  return kind === 'self-signed' ? sha256 : null
}
