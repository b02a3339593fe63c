import { z } from 'zod'
import { danger, read, write } from './meta.ts'
import { oneSpelling, timestamp } from './primitives.ts'

/** How it is proven to a certificate authority that a domain is this machine: on port 80, or on port 443. */
export const challenges = ['http-01', 'tls-alpn-01'] as const
export type Challenge = (typeof challenges)[number]

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
// The last label begins with a letter: an IP address, or a slip in one, is no name.
const dnsName = new RegExp(`^(?=.{1,253}$)(?:${label}\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

/** A full name such as vpn.example.org; one in other letters is written as xn--…. No wildcard: it names one host. */
export const fullName = z
  .string()
  .trim()
  .toLowerCase()
  .regex(dnsName, 'a full name such as vpn.example.org, without *')

// One address has many spellings in IPv6, and a certificate is found by its domain.
const plainIpv6 = z.ipv6().transform(oneSpelling)

/** What a certificate is held for. */
export const certificateDomain = z.union([fullName, z.ipv4(), plainIpv6], {
  error: 'a full name such as vpn.example.org, or an IP',
})

/** PEM. A chain of a few certificates is some 8 kB. */
const pem = z
  .string()
  .trim()
  .max(65_536)
  .includes('-----BEGIN ', { error: 'PEM, with its BEGIN and END lines' })

/** Ten years: clients that pin a self-signed certificate have to be told when it changes, so it is to last. */
const SELF_SIGNED_DAYS = 3_650

export const certificate = z.object({
  domain: z.string(),
  kind: z.enum(['acme', 'self-signed', 'imported']),
  /** null unless kind is acme. */
  challenge: z.enum(challenges).nullable(),
  /** The directory of the certificate authority; null unless kind is acme. */
  directory: z.string().nullable(),
  issuer: z.string(),
  notBefore: timestamp,
  notAfter: timestamp,
  /** Whole days until it ends; negative once it has. */
  daysLeft: z.number().int(),
  /** SHA-256 of the certificate itself (DER), in hexadecimal: what a share link pins. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  autoRenew: z.boolean(),
  /** When it is renewed, or tried again; null: it is not renewed by itself. */
  nextTryAt: timestamp.nullable(),
  /** Why the last renewal failed; null when it did not. */
  lastError: z.string().nullable(),
  createdAt: timestamp,
  updatedAt: timestamp,
})
export type Certificate = z.output<typeof certificate>

const byDomain = z.strictObject({ domain: certificateDomain })

/**
 * Longer than an order may take (90 s), and for this moment only: whether an authority agrees depends on names and
 * ports as they are now, and somebody waits to hear what it says.
 */
const order = write.meta({ timeout: 100_000, whenOffline: 'refuse' })

export const certificates = {
  list: read
    .route({ method: 'GET', path: '/certificates', summary: 'The certificates this server holds' })
    .output(z.array(certificate)),
  generate: order
    .route({
      method: 'POST',
      path: '/certificates/{domain}',
      summary:
        'Get a certificate from the certificate authority, or make a self-signed one; it replaces what was there',
    })
    .input(
      z.discriminatedUnion('method', [
        z.strictObject({
          domain: certificateDomain,
          method: z.literal('self-signed'),
          /** How long it lasts. */
          days: z.number().int().min(1).max(SELF_SIGNED_DAYS).default(SELF_SIGNED_DAYS),
        }),
        z.strictObject({
          domain: fullName,
          method: z.enum(challenges),
          /** Where the certificate authority may write to. */
          email: z.email().max(254).optional(),
        }),
      ]),
    )
    .output(certificate),
  import: write
    .meta({ secrets: ['key'] })
    .route({
      method: 'PUT',
      path: '/certificates/{domain}',
      summary: 'Hold a certificate from elsewhere, with its key; it replaces what was there',
    })
    .input(
      z.strictObject({
        domain: certificateDomain,
        /** The certificate, then each by whom the one before was signed. */
        certificate: pem,
        key: pem,
      }),
    )
    .output(certificate),
  renew: order
    .route({
      method: 'POST',
      path: '/certificates/{domain}/renew',
      summary: 'Renew a certificate now, the way it was made; of a self-signed one, links change',
    })
    .input(byDomain)
    .output(certificate),
  delete: danger
    .route({
      method: 'DELETE',
      path: '/certificates/{domain}',
      summary: 'Forget a certificate that no inbound uses',
    })
    .input(byDomain)
    .output(z.object({ domain: z.string() })),
}
