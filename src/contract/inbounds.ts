import { z } from 'zod'
import { danger, read, write } from './meta.ts'
import { bytes, inboundRef, listenAddress, port, remark, tag, timestamp } from './primitives.ts'
import { settingsInput, settingsOutput } from './protocols.ts'
import { bareStream, stream, streamInput } from './stream.ts'

const sniffing = z.strictObject({
  enabled: z.boolean(),
  destOverride: z
    .array(z.enum(['http', 'tls', 'quic'], { error: 'http, tls or quic: there is no FakeDNS on a server' }))
    .max(3),
  /** Only look at what a connection says of itself, never into its first bytes. */
  metadataOnly: z.boolean().optional(),
  /** Use what was found for routing alone, and connect to what was asked for. */
  routeOnly: z.boolean().optional(),
})
/** As it may stand in a row: `fakedns` was once taken, and never did anything. */
const heldSniffing = sniffing.extend({ destOverride: z.array(z.enum(['http', 'tls', 'quic', 'fakedns'])) })
export type Sniffing = z.output<typeof heldSniffing>

/** When an inbound's own count begins anew: at midnight UTC, on Mondays, on the first of a month. */
const trafficResets = ['never', 'daily', 'weekly', 'monthly'] as const

/** Bytes in both directions together; null: no limit. */
export const limitBytes = bytes.min(1).nullable()

const fields = {
  tag,
  remark,
  listen: listenAddress,
  port,
  sniffing: heldSniffing,
  enabled: z.boolean(),
  limitBytes,
  /** From this moment on it is closed; null: never. */
  expiresAt: timestamp.nullable(),
  trafficReset: z.enum(trafficResets),
}

/** As they are asked for: what may be left out has a default. */
const inputFields = {
  ...fields,
  remark: remark.default(''),
  /** Left out, it is the address this server's inbounds listen on: all of its addresses, unless it is told otherwise. */
  listen: listenAddress.optional(),
  sniffing: sniffing.default({ enabled: true, destOverride: ['http', 'tls', 'quic'] }),
  enabled: z.boolean().default(true),
  limitBytes: limitBytes.default(null),
  expiresAt: timestamp.nullable().default(null),
  trafficReset: z.enum(trafficResets).default('never'),
}

export const inboundInput = z.discriminatedUnion('protocol', [
  z.strictObject({
    ...inputFields,
    protocol: z.literal('vless'),
    settings: settingsInput.vless.default({ fallbacks: [] }),
    stream: streamInput,
  }),
  z.strictObject({
    ...inputFields,
    protocol: z.literal('vmess'),
    settings: settingsInput.vmess.default({}),
    stream: streamInput,
  }),
  z.strictObject({
    ...inputFields,
    protocol: z.literal('trojan'),
    settings: settingsInput.trojan.default({ fallbacks: [] }),
    stream: streamInput,
  }),
  z.strictObject({
    ...inputFields,
    protocol: z.literal('shadowsocks'),
    settings: settingsInput.shadowsocks.prefault({}),
    stream: streamInput.default(bareStream),
  }),
  z.strictObject({
    ...inputFields,
    protocol: z.literal('hysteria2'),
    settings: settingsInput.hysteria2.default({}),
    stream: streamInput,
  }),
  z.strictObject({
    ...inputFields,
    protocol: z.literal('wireguard'),
    settings: settingsInput.wireguard.prefault({}),
    stream: streamInput.default(bareStream),
  }),
  z.strictObject({
    ...inputFields,
    protocol: z.literal('mixed'),
    settings: settingsInput.mixed.prefault({}),
    stream: streamInput.default(bareStream),
  }),
  z.strictObject({
    ...inputFields,
    protocol: z.literal('tunnel'),
    settings: settingsInput.tunnel,
    stream: streamInput.default(bareStream),
  }),
])
export type InboundInput = z.output<typeof inboundInput>

/** Why an inbound or a client is closed though it is enabled; null: it is open. */
export const blockReasons = ['traffic', 'expired', 'addresses'] as const
export type BlockReason = (typeof blockReasons)[number]

/** Fields of an inbound beside a protocol and the settings that go with it. */
export const withProtocol = <S extends z.ZodRawShape>(shape: S) =>
  z.discriminatedUnion('protocol', [
    z.object({ ...shape, protocol: z.literal('vless'), settings: settingsOutput.vless }),
    z.object({ ...shape, protocol: z.literal('vmess'), settings: settingsOutput.vmess }),
    z.object({ ...shape, protocol: z.literal('trojan'), settings: settingsOutput.trojan }),
    z.object({ ...shape, protocol: z.literal('shadowsocks'), settings: settingsOutput.shadowsocks }),
    z.object({ ...shape, protocol: z.literal('hysteria2'), settings: settingsOutput.hysteria2 }),
    z.object({ ...shape, protocol: z.literal('wireguard'), settings: settingsOutput.wireguard }),
    z.object({ ...shape, protocol: z.literal('mixed'), settings: settingsOutput.mixed }),
    z.object({ ...shape, protocol: z.literal('tunnel'), settings: settingsOutput.tunnel }),
  ])

/** What an inbound is, without what moves by itself. */
export const inboundFields = {
  id: z.number().int().positive(),
  ...fields,
  stream,
  blocked: z.enum(blockReasons).nullable(),
  /** When its count begins anew the next time; null: never. */
  nextResetAt: timestamp.nullable(),
  /** What an update must quote: it moves with every edit of this inbound, not with what limits do to it. */
  rowVersion: z.number().int().positive(),
  createdAt: timestamp,
  updatedAt: timestamp,
}

export const inbound = withProtocol({
  ...inboundFields,
  /** Lifetime bytes, client to server and back. They only grow. */
  up: bytes,
  down: bytes,
  /** Bytes in both directions since the count last began anew: what the limit is held against. */
  used: bytes,
  clientCount: z.number().int().nonnegative(),
})
export type Inbound = z.output<typeof inbound>

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
        /** Those of the inbound's protocol, whole: the server checks them, since it knows which that is. */
        settings: z.record(z.string(), z.unknown()).optional(),
        stream: streamInput.optional(),
        sniffing: sniffing.optional(),
        enabled: z.boolean().optional(),
        limitBytes: limitBytes.optional(),
        expiresAt: timestamp.nullable().optional(),
        trafficReset: z.enum(trafficResets).optional(),
      }),
    )
    .output(inbound),
  resetTraffic: write
    .route({
      method: 'POST',
      path: '/inbounds/{id}/reset-traffic',
      summary: 'Count this inbound from zero again; the lifetime counters stay',
    })
    .input(byRef)
    .output(inbound),
  delete: danger
    .route({ method: 'DELETE', path: '/inbounds/{id}', summary: 'Close an inbound and forget it' })
    .input(byRef)
    .output(z.object({ id: z.number().int().positive(), tag })),
}
