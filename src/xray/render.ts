import { join } from 'node:path'
import type { XrayInbound, XrayModel, XrayUser } from './model.ts'

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

/** The inbound Xray is handed over its API or in its configuration. */
export interface RenderedInbound {
  tag: string
  port: number
  [field: string]: unknown
}

/** The whole configuration of one Xray. Pure; the same model gives the same configuration. */
export function renderConfig(model: XrayModel): object {
  return {
    log: {
      loglevel: 'warning',
      error: join(model.logDir, 'error.log'),
      // It would keep a record of who visited what.
      access: 'none',
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
    outbounds: [
      // The first outbound takes whatever no rule names.
      { tag: 'direct', protocol: 'freedom', settings: directSettings(model.allowPrivateTargets) },
      { tag: 'blocked', protocol: 'blackhole' },
    ],
    routing: {
      // A name that resolves to a private address is looked up before the rules are tried again.
      domainStrategy: model.allowPrivateTargets ? 'AsIs' : 'IPIfNonMatch',
      rules: [
        // First, and never to be replaced: without it the API is gone until a restart.
        { ruleTag: 'api', inboundTag: ['api'], outboundTag: 'api' },
        ...(model.allowPrivateTargets
          ? []
          : [{ ruleTag: 'private', ip: [...privateTargets], outboundTag: 'blocked' }]),
      ],
    },
  }
}

/** One inbound with its users. */
export function renderInbound(inbound: XrayInbound, users: readonly XrayUser[]): RenderedInbound {
  return {
    tag: inbound.tag,
    listen: inbound.listen,
    port: inbound.port,
    protocol: inbound.protocol,
    settings: {
      decryption: 'none',
      clients: users.map(({ email, uuid, flow }) =>
        flow === '' ? { id: uuid, email } : { id: uuid, email, flow },
      ),
    },
    streamSettings: streamSettings(inbound),
    sniffing: { enabled: inbound.sniffing.enabled, destOverride: inbound.sniffing.destOverride },
  }
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

function streamSettings({ stream, privateKey }: XrayInbound): object {
  const network = { network: stream.transport.type }
  const security = stream.security
  if (security.type === 'none') return { ...network, security: 'none' }
  return {
    ...network,
    security: 'reality',
    realitySettings: {
      target: security.target,
      serverNames: security.serverNames,
      privateKey: privateKey ?? '',
      shortIds: security.shortIds,
    },
  }
}

const secretKeys = new Set(['privateKey', 'id', 'password', 'shortIds'])

/** The same configuration with every key and credential replaced by `***`, to be shown. */
export function maskSecrets(config: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, maskValue(key, value)]))
}

function maskValue(key: string, value: unknown): unknown {
  if (secretKeys.has(key)) return Array.isArray(value) ? value.map(() => '***') : '***'
  if (Array.isArray(value)) return value.map((item: unknown) => maskValue('', item))
  return typeof value === 'object' && value !== null ? maskSecrets(value) : value
}
