import { z } from 'zod'

/** A host name or IP address with a port, as it may stand in a row: once any five digits were taken for a port. */
export const heldHostAndPort = z
  .string()
  .regex(/^[A-Za-z0-9.-]{1,253}:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, 'host:port')

/** A host name or IP address with a port from 1 to 65535, as REALITY's target is written. */
export const hostAndPort = z
  .string()
  .regex(
    /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]+\]):(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])$/,
    'host:port, with a port from 1 to 65535',
  )

/** A DNS name, or an IP address, as it stands in a certificate or in a Host header. */
export const hostName = z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, 'a host name')

const shortId = z
  .string()
  .regex(/^(?:[0-9a-f]{2}){0,8}$/, 'up to 16 hexadecimal digits, an even number of them')

/** How TLS clients are imitated: uTLS fingerprints that Xray knows. */
const fingerprints = ['chrome', 'firefox', 'safari', 'ios', 'android', 'edge', 'random'] as const

/** x25519 public key, base64url without padding. */
const x25519PublicKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/)

/** The path of a request: it stands in links and in HTTP, so it keeps to what a URL's path may hold. */
const path = z
  .string()
  .regex(/^\/[A-Za-z0-9._~!$&'()*+,;=:@/-]{0,127}$/, 'a slash, then what a path may hold')

/** Left empty, any Host is accepted. */
const host = hostName.or(z.literal(''))

/** Bare TCP, optionally dressed up as HTTP/1.1. */
const rawTransport = z.strictObject({
  type: z.literal('raw'),
  header: z.strictObject({ type: z.literal('http'), path, host }).optional(),
})
const wsTransport = z.strictObject({ type: z.literal('ws'), path: path.default('/'), host: host.default('') })
const httpUpgradeTransport = z.strictObject({
  type: z.literal('httpupgrade'),
  path: path.default('/'),
  host: host.default(''),
})
const grpcTransport = z.strictObject({
  type: z.literal('grpc'),
  serviceName: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'letters, digits, dot, dash and underscore'),
  authority: host.default(''),
  /** Several tunnels in one stream; faster, and only Xray understands it. */
  multiMode: z.boolean().default(false),
})
const xhttpModes = ['auto', 'packet-up', 'stream-up', 'stream-one'] as const
const xhttpTransport = z.strictObject({
  type: z.literal('xhttp'),
  path: path.default('/'),
  host: host.default(''),
  mode: z.enum(xhttpModes).default('auto'),
})
/** KCP over UDP. Its packets are disguised with a key of the inbound's own, made on the server. */
const mkcpTransport = z.strictObject({
  type: z.literal('mkcp'),
  mtu: z.number().int().min(576).max(1_460).default(1_350),
})
/** QUIC as Hysteria 2 uses it; for that protocol alone. */
const hysteriaTransport = z.strictObject({
  type: z.literal('hysteria'),
  /** Salamander makes it look like noise, with a password of the inbound's own, made on the server. */
  obfuscated: z.boolean().default(false),
})

const transport = z.discriminatedUnion('type', [
  rawTransport,
  wsTransport,
  httpUpgradeTransport,
  grpcTransport,
  xhttpTransport,
  mkcpTransport,
  hysteriaTransport,
])

const noSecurity = z.strictObject({ type: z.literal('none') })

/**
 * REALITY borrows the TLS handshake of `target`. The private key is made on the server and never leaves it; the
 * public key and a short id go into the share links.
 */
const realitySecurity = z.strictObject({
  type: z.literal('reality'),
  /** The site whose handshake is shown to those who probe. */
  target: hostAndPort,
  serverNames: z
    .array(z.string().regex(/^[A-Za-z0-9.-]{1,253}$/))
    .min(1)
    .max(16),
  shortIds: z.array(shortId).min(1).max(16),
  fingerprint: z.enum(fingerprints).default('chrome'),
})

const alpn = z.enum(['h3', 'h2', 'http/1.1'])

/**
 * TLS with a certificate of this server: one of `certificates`, by its domain, or one the inbound makes for itself,
 * which apps accept because its fingerprint stands in the links.
 */
const tlsSecurity = z.strictObject({
  type: z.literal('tls'),
  /** The name that clients ask for. */
  serverName: hostName,
  certificate: z
    .discriminatedUnion('source', [
      z.strictObject({ source: z.literal('own') }),
      z.strictObject({ source: z.literal('store'), domain: hostName }),
    ])
    .default({ source: 'own' }),
  alpn: z.array(alpn).max(3).default([]),
  fingerprint: z.enum(fingerprints).default('chrome'),
})

export const streamInput = z.strictObject({
  transport,
  security: z.discriminatedUnion('type', [noSecurity, tlsSecurity, realitySecurity]),
})
export type StreamInput = z.output<typeof streamInput>

export const stream = z.object({
  transport,
  security: z.discriminatedUnion('type', [
    noSecurity,
    tlsSecurity.extend({
      /** SHA-256 of the certificate, hex, where no authority vouches for it: links carry it. */
      pin: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .nullable(),
    }),
    realitySecurity.extend({ target: heldHostAndPort, publicKey: x25519PublicKey }),
  ]),
})
export type InboundStream = z.output<typeof stream>

/** No stream settings at all: what protocols without them have. */
export const bareStream: StreamInput = {
  transport: { type: 'raw' },
  security: { type: 'none' },
}
