import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Outbound, RoutingDocument } from '#src/contract/index.ts'
import type { XrayModel } from './model.ts'
import type { RenderedConfig } from './diff.ts'
import { renderInbound } from './render-inbound.ts'
import { apiTag } from './tags.ts'
import { nameInXray } from './user-name.ts'

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
export function renderConfig(model: XrayModel): RenderedConfig {
  return {
    log: {
      loglevel: 'warning',
      error: join(model.logDir, 'error.log'),
      access: model.accessLog ?? 'none',
    },
    api: { tag: apiTag, services: ['HandlerService', 'StatsService', 'RoutingService'] },
    stats: {},
    policy: {
      levels: { '0': { statsUserUplink: true, statsUserDownlink: true, statsUserOnline: true } },
      system: {
        statsInboundUplink: model.countsInbounds,
        statsInboundDownlink: model.countsInbounds,
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

/**
 * The ways out. The first takes whatever no rule names: nothing but what comes while the rules are being replaced,
 * which is refused rather than let out where it should not go. It never changes, so Xray never has to restart for it.
 */
function renderOutbounds({ routing, allowPrivateTargets }: XrayModel): RenderedConfig['outbounds'] {
  return [
    { tag: 'blocked', protocol: 'blackhole' },
    { tag: 'direct', protocol: 'freedom', settings: directSettings(allowPrivateTargets) },
    ...routing.outbounds.map(renderOutbound),
  ]
}

function renderOutbound(outbound: Outbound): RenderedConfig['outbounds'][number] {
  if (outbound.protocol !== 'wireguard') return outbound
  // As with inbounds: the kernel's own would change the machine's network. Last, so that it is what Xray takes.
  return { ...outbound, settings: { ...outbound.settings, noKernelTun: true } }
}

/** Which way each connection takes. Private targets are closed before any rule of an admin is asked. */
function renderRouting({ routing, inbounds, allowPrivateTargets }: XrayModel): RenderedConfig['routing'] {
  const tunnels = inbounds.filter(({ protocol }) => protocol === 'tunnel').map(({ tag }) => tag)
  const closed = [
    // A tunnel leads where its admin has said, also into a private network.
    ...(tunnels.length === 0 ? [] : [{ ruleTag: 'tunnels', inboundTag: tunnels, outboundTag: 'direct' }]),
    ...(routing.privateAccess.length === 0
      ? []
      : [{ ruleTag: 'private-open', ip: routing.privateAccess, outboundTag: 'direct' }]),
    { ruleTag: 'private', ip: [...privateTargets], outboundTag: 'blocked' },
  ]
  const rules = [
    ...(allowPrivateTargets ? [] : closed),
    ...routing.rules.map((rule, index) => renderRule(rule, index)),
    defaultRule(routing, allowPrivateTargets),
  ]
  const balancers = routing.balancers.map(({ strategy, ...balancer }) => ({
    ...balancer,
    strategy: { type: strategy },
  }))
  return {
    // Looked up at the first rule by address, which closes private targets. Only after the last rule would be too late:
    // any rule that fits a client's own name, for all of its connections say, would have let it into the server's network.
    domainStrategy: allowPrivateTargets ? routing.domainStrategy : 'IPOnDemand',
    rules: [
      // First, and never to be missing: without it the API is gone until a restart. Of its rules Xray tells no more than
      // their names, so this one names all of them.
      { ruleTag: `api@${digest({ rules, balancers })}`, inboundTag: [apiTag], outboundTag: apiTag },
      ...rules,
    ],
    balancers,
  }
}

function digest(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
}

/** Whatever no other rule fits. */
function defaultRule(
  { defaultOutbound, domainStrategy }: RoutingDocument,
  allowPrivateTargets: boolean,
): object {
  // Names come to be looked up only where no rule has fitted them, so this one must wait for their addresses.
  const waits = allowPrivateTargets && domainStrategy === 'IPIfNonMatch'
  return {
    ruleTag: 'default',
    ...(waits ? { ip: ['0.0.0.0/0', '::/0'] } : { network: 'tcp,udp' }),
    outboundTag: defaultOutbound,
  }
}

function renderRule({ user, ...rule }: RoutingDocument['rules'][number], index: number): object {
  return {
    ...rule,
    ruleTag: `rule-${rule.ruleTag ?? index}`,
    ...(user === undefined ? {} : { user: [anyOf(user)] }),
  }
}

/** Xray knows a client of several inbounds by a name in each. One pattern for all: Xray would try one after another. */
function anyOf(clients: readonly string[]): string {
  return `regexp:(?i)^(?:${clients.map(escapeRegExp).join('|')})#\\d+$`
}

function escapeRegExp(text: string): string {
  return nameInXray(text).replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/**
 * The API on a unix socket only its owner may open; by TCP any local user could command this Xray. The port in the settings
 * means nothing, but without one Xray 26.3.27 crashes at the first connection.
 */
function apiInbound(socketPath: string): { tag: string } & Record<string, unknown> {
  return {
    tag: apiTag,
    listen: `${socketPath},0600`,
    protocol: 'dokodemo-door',
    settings: { address: '127.0.0.1', port: 1, network: 'unix' },
  }
}

// Newer Xray refuse private targets in this outbound by themselves; 26.3.27 does not know the key and passes over it.
function directSettings(allowPrivateTargets: boolean): object {
  return allowPrivateTargets ? { finalRules: [{ action: 'allow' }] } : {}
}
