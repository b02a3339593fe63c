/** What each protocol can be told, beyond where it listens and how its stream is dressed. */
import { z } from 'zod'
import { port } from './primitives.ts'
import { heldHostAndPort, hostAndPort } from './stream.ts'

/**
 * Where connections go that are not of this protocol, so that a web site can share the port. A number is a port of
 * this machine.
 */
const fallback = z.strictObject({
  /** Only for this server name; empty: for any. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9.-]{0,253}$/)
    .default(''),
  /** Only after this ALPN was agreed on. */
  alpn: z.enum(['', 'h2', 'http/1.1']).default(''),
  /** Only for this path of an HTTP/1.1 request. */
  path: z
    .string()
    .regex(/^$|^\/[\x21-\x7e]{0,127}$/)
    .default(''),
  dest: z.union([port, hostAndPort]),
  /** Tells the destination who calls, by PROXY protocol of this version. */
  xver: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(0),
})
const fallbacksOf = <F extends z.ZodType>(one: F) => z.array(one).max(32).default([])
const fallbacks = fallbacksOf(fallback)
const heldFallbacks = fallbacksOf(fallback.extend({ dest: z.union([port, heldHostAndPort]) }))

const networks = z.enum(['tcp', 'udp', 'tcp,udp'])

export const shadowsocksMethods = [
  'aes-128-gcm',
  'aes-256-gcm',
  'chacha20-ietf-poly1305',
  'xchacha20-ietf-poly1305',
  '2022-blake3-aes-128-gcm',
  '2022-blake3-aes-256-gcm',
] as const
export type ShadowsocksMethod = (typeof shadowsocksMethods)[number]

const nothing = z.strictObject({})

const wireguard = z.strictObject({
  mtu: z.number().int().min(1_280).max(1_500).default(1_420),
  /** What the link tells the app to ask for names; an IP address. */
  dns: z.union([z.ipv4(), z.ipv6()]).default('1.1.1.1'),
})

/** Hands everything on to one address: a port forwarding. It has no clients. */
const tunnel = z.strictObject({ target: hostAndPort, network: networks.default('tcp') })

/** By protocol: its settings as they are given. Every one has defaults, but for the target of a tunnel. */
export const settingsInput = {
  vless: z.strictObject({ fallbacks }),
  vmess: nothing,
  trojan: z.strictObject({ fallbacks }),
  shadowsocks: z.strictObject({
    method: z.enum(shadowsocksMethods).default('2022-blake3-aes-128-gcm'),
    network: networks.default('tcp,udp'),
  }),
  hysteria2: nothing,
  wireguard,
  /** SOCKS5 and HTTP on one port, always with a password. */
  mixed: z.strictObject({ udp: z.boolean().default(true) }),
  tunnel,
} as const
export type Protocol = keyof typeof settingsInput
export const protocols = Object.keys(settingsInput) as Protocol[]

/** WireGuard public key, base64. */
const wireguardPublicKey = z.string().regex(/^[A-Za-z0-9+/]{43}=$/)

/** By protocol: its settings as they are shown, with what the server has added. */
export const settingsOutput = {
  ...settingsInput,
  vless: z.strictObject({ fallbacks: heldFallbacks }),
  trojan: z.strictObject({ fallbacks: heldFallbacks }),
  tunnel: tunnel.extend({ target: heldHostAndPort }),
  wireguard: wireguard.extend({ publicKey: wireguardPublicKey }),
} as const

type Settings = { [P in Protocol]: z.output<(typeof settingsOutput)[P]> }
/** A protocol with its settings: which they are follows from the protocol. */
export type ProtocolSettings = { [P in Protocol]: { protocol: P; settings: Settings[P] } }[Protocol]
type GivenSettings = { [P in Protocol]: z.output<(typeof settingsInput)[P]> }
export type GivenProtocolSettings = {
  [P in Protocol]: { protocol: P; settings: GivenSettings[P] }
}[Protocol]
