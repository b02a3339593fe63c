import { join } from 'node:path'
import type { RoutingDocument } from '#src/contract/index.ts'
import type { XrayModel } from './model.ts'
import { renderInbound } from './render-inbound.ts'

/** Tags fleetgram gives to parts of its own in every configuration. */
export const reservedTags = ['api', 'direct', 'blocked'] as const

/**
 * Addresses that lead to the server itself or into networks behind it, rather than to the internet. Written out
 * because Xray's `geoip:private` needs a data file that may not be there. From the IANA special-purpose registries
 * (RFC 6890): this host, private, shared (CGNAT), loopback, link-local (cloud metadata services), protocol
 * assignments, benchmarking, multicast, reserved; and IPv4 inside IPv6 by NAT64, which leads to all of these.
 */
const privateTargets = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/127',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
] as const

/** The whole configuration of one Xray. Pure; the same model gives the same configuration. */
export function renderConfig(model: XrayModel): object {
  return {
    log: {
      loglevel: 'warning',
      error: join(model.logDir, 'error.log'),
      access: model.accessLog ?? 'none',
    },
    api: { tag: 'api', services: ['HandlerService', 'StatsService'] },
    stats: {},
    policy: {
      levels: { '0': { statsUserUplink: true, statsUserDownlink: true, statsUserOnline: true } },
      system: {
        statsInboundUplink: true,
        statsInboundDownlink: true,
        statsOutboundUplink: true,
        statsOutboundDownlink: true,
      },
    },
    inbounds: [
      apiInbound(model.apiSocket),
      ...model.inbounds.map(({ users, ...inbound }) => renderInbound(inbound, users)),
    ],
    outbounds: renderOutbounds(model),
    routing: renderRouting(model),
  }
}

/** The ways out. The first takes whatever no rule names. */
export function renderOutbounds({ routing, allowPrivateTargets }: XrayModel): { tag: string }[] {
  return [
    { tag: 'direct', protocol: 'freedom', settings: directSettings(allowPrivateTargets) } as { tag: string },
    { tag: 'blocked', protocol: 'blackhole' } as { tag: string },
    ...routing.outbounds,
  ]
}

/**
 * Which way each connection takes. Private targets are closed before any rule of an admin is asked: `geosite:…` alone
 * in a rule would otherwise let a client's own name lead into the server's network.
 */
export function renderRouting({ routing, inbounds, allowPrivateTargets }: XrayModel): object {
  const tunnels = inbounds.filter(({ protocol }) => protocol === 'tunnel').map(({ tag }) => tag)
  const closed = [
    // A tunnel leads where its admin has said, also into a private network.
    ...(tunnels.length === 0 ? [] : [{ ruleTag: 'tunnels', inboundTag: tunnels, outboundTag: 'direct' }]),
    ...(routing.privateAccess.length === 0
      ? []
      : [{ ruleTag: 'private-open', ip: routing.privateAccess, outboundTag: 'direct' }]),
    { ruleTag: 'private', ip: [...privateTargets], outboundTag: 'blocked' },
  ]
  return {
    // A name that resolves to a private address is looked up before the rules are tried again.
    domainStrategy: allowPrivateTargets ? 'AsIs' : strategyWithLookUp(routing.domainStrategy),
    rules: [
      // First, and never to be replaced: without it the API is gone until a restart.
      { ruleTag: 'api', inboundTag: ['api'], outboundTag: 'api' },
      ...(allowPrivateTargets ? [] : closed),
      ...routing.rules.map((rule, index) => renderRule(rule, index)),
      ...(routing.defaultOutbound === 'direct'
        ? []
        : [{ ruleTag: 'default', network: 'tcp,udp', outboundTag: routing.defaultOutbound }]),
    ],
    balancers: routing.balancers.map(({ strategy, ...balancer }) => ({
      ...balancer,
      strategy: { type: strategy },
    })),
  }
}

/** Names are looked up in any case, since what is private is told by address. */
function strategyWithLookUp(wanted: RoutingDocument['domainStrategy']): string {
  return wanted === 'AsIs' ? 'IPIfNonMatch' : wanted
}

function renderRule({ user, ...rule }: RoutingDocument['rules'][number], index: number): object {
  return {
    ...rule,
    ruleTag: `rule-${rule.ruleTag ?? index}`,
    // Xray knows a client of several inbounds by a name in each.
    ...(user === undefined ? {} : { user: user.map((name) => `regexp:(?i)^${escapeRegExp(name)}#\\d+$`) }),
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/**
 * The API on a unix socket only its owner may open; by TCP any local user could command this Xray. The port in the settings
 * means nothing, but without one Xray 26.3.27 crashes at the first connection.
 */
function apiInbound(socketPath: string): object {
  return {
    tag: 'api',
    listen: `${socketPath},0600`,
    protocol: 'dokodemo-door',
    settings: { address: '127.0.0.1', port: 1, network: 'unix' },
  }
}

// Newer Xray refuse private targets in this outbound by themselves; 26.3.27 does not know the key and passes over it.
function directSettings(allowPrivateTargets: boolean): object {
  return allowPrivateTargets ? { finalRules: [{ action: 'allow' }] } : {}
}

const secretKeys = new Set([
  'privateKey',
  'secretKey',
  'preSharedKey',
  'id',
  'password',
  'pass',
  'auth',
  'key',
  'seed',
  'shortIds',
])

/** The same configuration with every key and credential replaced by `***`, to be shown. */
export function maskSecrets(config: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, maskValue(key, value)]))
}

function maskValue(key: string, value: unknown): unknown {
  if (secretKeys.has(key)) return Array.isArray(value) ? value.map(() => '***') : '***'
  if (Array.isArray(value)) return value.map((item: unknown) => maskValue('', item))
  return typeof value === 'object' && value !== null ? maskSecrets(value) : value
}
