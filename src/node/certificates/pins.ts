import type { CertificateSettings } from './rows.ts'

/** Apps accept what an authority vouches for; a certificate that vouches for itself must be pinned. */
export function pinFor({ kind, sha256 }: Pick<CertificateSettings, 'kind' | 'sha256'>): string | null {
  return kind === 'self-signed' ? sha256 : null
}
