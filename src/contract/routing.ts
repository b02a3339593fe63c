import { z } from 'zod'
import { read, write } from './meta.ts'
import { tag, trueOrFalse } from './primitives.ts'

/** Ways out that Xray knows. */
const outboundProtocols = [
  'freedom',
  'blackhole',
  'dns',
  'loopback',
  'vless',
  'vmess',
  'trojan',
  'shadowsocks',
  'socks',
  'http',
  'wireguard',
  'hysteria',
] as const

/** Far more than any real outbound has; what is deeper would overflow the stack of whoever walks through it. */
const MAX_DEPTH = 16
const MAX_OUTBOUND_CHARACTERS = 64 * 1024

/** Xray's own JSON. Its fields are Xray's to check; it reads the whole before anything is changed. */
const xrayJson = z
  .record(z.string(), z.unknown())
  .refine((value) => isFlat(value) && JSON.stringify(value).length <= MAX_OUTBOUND_CHARACTERS, {
    message: `at most ${MAX_DEPTH} levels deep and ${MAX_OUTBOUND_CHARACTERS} characters`,
  })

/** Level by level, not by recursion: that is what it guards. */
function isFlat(value: unknown): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []))
    if (level.length === 0) return true
  }
  return false
}

const outbound = z.strictObject({
  tag,
  protocol: z.enum(outboundProtocols),
  settings: xrayJson.optional(),
  streamSettings: xrayJson.optional(),
  /** The local IP address it leaves from. */
  sendThrough: z.union([z.ipv4(), z.ipv6()]).optional(),
  proxySettings: z.strictObject({ tag, transportLayer: z.boolean().optional() }).optional(),
  mux: xrayJson.optional(),
})
export type Outbound = z.output<typeof outbound>

const matcher = z.string().min(1).max(512)
const matchers = z.array(matcher).min(1).max(5_000).optional()
const ports = z
  .string()
  .regex(/^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/, 'ports such as 53,443,1000-2000')
  .max(512)
  .optional()

/** A rule fits where all of its conditions do; of a condition one member is enough. The first rule that fits decides. */
const rule = z
  .strictObject({
    /** Its name among the rules. */
    ruleTag: tag.optional(),
    domain: matchers,
    ip: matchers,
    port: ports,
    sourceIP: matchers,
    sourcePort: ports,
    network: z.enum(['tcp', 'udp', 'tcp,udp']).optional(),
    /** Clients, by their names. */
    user: matchers,
    inboundTag: matchers,
    protocol: z
      .array(z.enum(['http', 'tls', 'quic', 'bittorrent']))
      .min(1)
      .optional(),
    outboundTag: tag.optional(),
    balancerTag: tag.optional(),
  })
  .refine((value) => (value.outboundTag === undefined) !== (value.balancerTag === undefined), {
    message: 'either an outboundTag or a balancerTag',
    path: ['outboundTag'],
  })

const balancer = z.strictObject({
  tag,
  /** Beginnings of outbounds' tags. */
  selector: z.array(z.string().min(1).max(64)).min(1).max(64),
  strategy: z.enum(['random', 'roundRobin']).default('random'),
  fallbackTag: tag.optional(),
})

const document = {
  /** Beside `direct` and `blocked`, which are always there. */
  outbounds: z.array(outbound).max(256).default([]),
  rules: z.array(rule).max(1_000).default([]),
  balancers: z.array(balancer).max(64).default([]),
  /** Where whatever no rule names goes. */
  defaultOutbound: tag.default('direct'),
  /**
   * Whether names are looked up for rules by address. While private networks are closed, on every server but one for
   * tests, each name is looked up before the first rule: whether it leads into them is told by its address alone.
   */
  domainStrategy: z.enum(['AsIs', 'IPIfNonMatch', 'IPOnDemand']).default('IPIfNonMatch'),
  /** Private networks that clients may reach through this server; all others are closed to them. */
  privateAccess: z
    .array(z.union([z.cidrv4(), z.cidrv6()]))
    .max(64)
    .default([]),
}

const routingState = z.object({
  ...document,
  /** 0 until it is set for the first time. */
  rowVersion: z.number().int().nonnegative(),
})
/** How connections leave a server. */
export type RoutingDocument = Omit<z.output<typeof routingState>, 'rowVersion'>

export const routingDocument = z.object(document)

/** A server that nothing was said to: everything leaves directly, and nothing reaches a private network. */
export const plainRouting: RoutingDocument = routingDocument.parse({})

/** What it took to bring a change into effect. */
const applied = z.object({
  how: z.enum(['unchanged', 'hot', 'restart']),
  /** Which parts of Xray's configuration changed, and where a restart was needed, why. */
  why: z.array(z.string()),
})

export const routing = {
  get: read
    .meta({ role: 'admin' })
    .route({ method: 'GET', path: '/routing', summary: 'Outbounds and routing rules; secrets are masked' })
    .input(z.strictObject({ reveal: trueOrFalse.default(false) }))
    .output(routingState),
  set: write
    .meta({ role: 'admin', secrets: ['outbounds'] })
    .route({
      method: 'PUT',
      path: '/routing',
      summary: 'Replace outbounds and routing rules, without a restart where Xray can',
    })
    .input(
      z.strictObject({
        ...document,
        // To be said: what is left out would be gone.
        outbounds: document.outbounds.unwrap(),
        rules: document.rules.unwrap(),
        rowVersion: z.number().int().nonnegative().optional(),
        /** A change that Xray can only take at its start is refused unless this says that all connections may end. */
        allowRestart: z.boolean().default(false),
      }),
    )
    .output(routingState.extend({ applied })),
}
