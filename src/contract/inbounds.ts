import { z } from 'zod'
import { danger, read, write } from './meta.ts'
import { bytes, inboundRef, listenAddress, port, remark, tag, timestamp } from './primitives.ts'

/** A host name or IP address with a port, as REALITY's target is written. */
const hostAndPort = z
  .string()
  .regex(/^[A-Za-z0-9.-]{1,253}:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, 'host:port')

const shortId = z
  .string()
  .regex(/^(?:[0-9a-f]{2}){0,8}$/, 'up to 16 hexadecimal digits, an even number of them')

/** How TLS clients are imitated: uTLS fingerprints that Xray knows. */
const fingerprints = ['chrome', 'firefox', 'safari', 'ios', 'android', 'edge', 'random'] as const

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

/** x25519 public key, base64url without padding. */
const x25519PublicKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/)

const rawTransport = z.strictObject({ type: z.literal('raw') })

const streamInput = z.strictObject({
  transport: rawTransport,
  security: z.discriminatedUnion('type', [noSecurity, realitySecurity]),
})

const stream = z.object({
  transport: rawTransport,
  security: z.discriminatedUnion('type', [
    noSecurity,
    realitySecurity.extend({ publicKey: x25519PublicKey }),
  ]),
})

const sniffing = z.strictObject({
  enabled: z.boolean(),
  destOverride: z.array(z.enum(['http', 'tls', 'quic', 'fakedns'])).max(4),
})

const fields = {
  tag,
  remark,
  protocol: z.literal('vless'),
  listen: listenAddress,
  port,
  sniffing,
  enabled: z.boolean(),
}

export const inboundInput = z.strictObject({
  ...fields,
  stream: streamInput,
  remark: remark.default(''),
  /** Left out, it is the address this server's inbounds listen on: all of its addresses, unless it is told otherwise. */
  listen: listenAddress.optional(),
  sniffing: sniffing.default({ enabled: true, destOverride: ['http', 'tls', 'quic'] }),
  enabled: z.boolean().default(true),
})
export type InboundInput = z.output<typeof inboundInput>

export const inbound = z.object({
  id: z.number().int().positive(),
  ...fields,
  stream,
  /** Lifetime bytes, client to server and back. They only grow. */
  up: bytes,
  down: bytes,
  clientCount: z.number().int().nonnegative(),
  /** What an update must quote: it moves with every change of this inbound. */
  rowVersion: z.number().int().positive(),
  createdAt: timestamp,
  updatedAt: timestamp,
})
export type Inbound = z.output<typeof inbound>
export type InboundStream = Inbound['stream']

const byRef = z.strictObject({ id: inboundRef })

export const inbounds = {
  list: read
    .route({ method: 'GET', path: '/inbounds', summary: 'All inbounds of this server' })
    .output(z.array(inbound)),
  get: read
    .route({ method: 'GET', path: '/inbounds/{id}', summary: 'One inbound, by id or tag' })
    .input(byRef)
    .output(inbound),
  add: write
    .route({
      method: 'POST',
      path: '/inbounds',
      summary: 'Add an inbound and open its port, without a restart',
    })
    .input(inboundInput)
    .output(inbound),
  update: write
    .route({ method: 'PUT', path: '/inbounds/{id}', summary: 'Change an inbound; what is left out stays' })
    .input(
      z.strictObject({
        id: inboundRef,
        rowVersion: z.number().int().positive().optional(),
        tag: tag.optional(),
        remark: remark.optional(),
        listen: listenAddress.optional(),
        port: port.optional(),
        stream: streamInput.optional(),
        sniffing: sniffing.optional(),
        enabled: z.boolean().optional(),
      }),
    )
    .output(inbound),
  delete: danger
    .route({ method: 'DELETE', path: '/inbounds/{id}', summary: 'Close an inbound and forget it' })
    .input(byRef)
    .output(z.object({ id: z.number().int().positive(), tag })),
}
