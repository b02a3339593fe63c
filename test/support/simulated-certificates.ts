import type { Certificate, Challenge, OperationName } from '#src/contract/index.ts'
import { type ErrorCode, type ErrorDetails, FleetError, fail } from '#src/errors.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** The certificates of a simulated server. */
export interface SimulatedCertificates {
  certificates: Map<string, Certificate>
  /** The authority refuses every order from now on; undefined: it gives them again. */
  refuseOrders(code?: ErrorCode, details?: ErrorDetails): void
  operations: Partial<Record<OperationName, (input: never) => unknown>>
}

export function createSimulatedCertificates(): SimulatedCertificates {
  const certificates = new Map<string, Certificate>()
  let refusal: FleetError | undefined

  function made(domain: string, method: Challenge | 'self-signed'): Certificate {
    if (refusal !== undefined) throw refusal
    const isSelfSigned = method === 'self-signed'
    const now = Date.now()
    const certificate: Certificate = {
      domain,
      kind: isSelfSigned ? 'self-signed' : 'acme',
      challenge: isSelfSigned ? null : method,
      directory: isSelfSigned ? null : 'https://authority.example/dir',
      issuer: isSelfSigned ? domain : 'Paper Authority',
      notBefore: now,
      notAfter: now + 90 * DAY_MS,
      daysLeft: 89,
      sha256: 'ab'.repeat(32),
      autoRenew: !isSelfSigned,
      nextTryAt: isSelfSigned ? null : now + 60 * DAY_MS,
      lastError: null,
      createdAt: now,
      updatedAt: now,
    }
    certificates.set(domain, certificate)
    return certificate
  }
  const held = (domain: string): Certificate =>
    certificates.get(domain) ?? fail('CERTIFICATE_NOT_FOUND', { domain })

  return {
    certificates,
    refuseOrders: (code, details = {}) =>
      void (refusal = code === undefined ? undefined : new FleetError(code, details)),
    operations: {
      'certificates.list': () => [...certificates.values()],
      'certificates.generate': ({ domain, method }: { domain: string; method: Challenge }) =>
        made(domain, method),
      'certificates.renew': ({ domain }: { domain: string }) =>
        made(domain, held(domain).challenge ?? 'self-signed'),
      'certificates.delete': ({ domain }: { domain: string }) => {
        certificates.delete(held(domain).domain)
        return { domain }
      },
    },
  }
}
