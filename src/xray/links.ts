import { isIPv6 } from 'node:net'
import type { InboundStream } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { type AccountSource, accountIn } from './account.ts'
import type { LinkedInbound, XrayAccount } from './model.ts'
import { mkcpMask } from './render-inbound.ts'
import { xrayName } from './user-name.ts'

export interface LinkSource {
  inbound: LinkedInbound
  client: AccountSource & { email: string }
  /** Where people reach the server: a name or an IP address. */
  host: string
  /** What the app shows; `<remark or tag>-<client>` unless told. */
  name?: string
}

type Parameters = Record<string, string>

/**
 * The link an app is set up with; null for an inbound without clients. The shapes are those apps read: for VLESS and
 * Trojan the share-link convention (XTLS/Xray-core discussion 716), in which the raw transport is still called tcp;
 * VMess in v2rayN's JSON, Shadowsocks by SIP002, Hysteria 2 by its own URI scheme.
 * It is a credential: never log it.
 */
export function shareLink({ inbound, client, host, name }: LinkSource): string | null {
  if (inbound.protocol === 'tunnel') return null
  const label = name ?? `${inbound.remark === '' ? inbound.tag : inbound.remark}-${client.email}`
  const account = accountIn(inbound, client)
  const at = `${bracketed(host)}:${inbound.port}`
  const tail = `#${encodeURIComponent(label)}`
  const stream = { ...transportParameters(inbound), ...securityParameters(inbound.stream) }
  switch (account.type) {
    case 'vless': {
      const flow: Parameters = account.flow === '' ? {} : { flow: account.flow }
      return `vless://${account.id}@${at}?${query({ encryption: 'none', ...stream, ...flow })}${tail}`
    }
    case 'vmess':
      return `vmess://${base64(JSON.stringify(vmessJson(inbound, account.id, host, label)))}`
    case 'trojan':
      return `trojan://${encodeURIComponent(account.password)}@${at}?${query(stream)}${tail}`
    case 'shadowsocks':
    case 'shadowsocks2022':
      return `ss://${shadowsocksUser(inbound, account)}@${at}${bareOrQuery(inbound, stream)}${tail}`
    case 'hysteria':
      return `hysteria2://${encodeURIComponent(account.auth)}@${at}?${query(hysteriaParameters(inbound))}${tail}`
    case 'wireguard':
      return `wireguard://${encodeURIComponent(account.privateKey)}@${at}?${query(wireguardParameters(inbound, account))}${tail}`
    case 'mixed': {
      // Xray knows who it is by this name, as it does everywhere else.
      const user = base64url(`${xrayName(client.email, inbound.id)}:${account.password}`)
      return `socks://${user}@${at}${tail}`
    }
  }
}

/** How the stream is carried, in the parameters of the convention. */
function transportParameters({ stream: { transport }, linkSecrets }: LinkedInbound): Parameters {
  switch (transport.type) {
    case 'raw':
      return transport.header === undefined
        ? { type: 'tcp' }
        : { type: 'tcp', headerType: 'http', ...pathAndHost(transport.header) }
    case 'ws':
    case 'httpupgrade':
      return { type: transport.type, ...pathAndHost(transport) }
    case 'grpc': {
      const { serviceName, authority, multiMode } = transport
      return {
        type: 'grpc',
        serviceName,
        mode: multiMode ? 'multi' : 'gun',
        ...(authority === '' ? {} : { authority }),
      }
    }
    case 'xhttp':
      return { type: 'xhttp', ...pathAndHost(transport), mode: transport.mode }
    case 'mkcp':
      return {
        type: 'kcp',
        mtu: String(transport.mtu),
        fm: JSON.stringify(mkcpMask(linkSecrets.obfuscation ?? '')),
      }
    case 'hysteria':
      return { type: 'hysteria' }
  }
}

function pathAndHost({ path, host }: { path: string; host: string }): Parameters {
  return host === '' ? { path } : { path, host }
}

function securityParameters({ security }: InboundStream): Parameters {
  switch (security.type) {
    case 'none':
      return { security: 'none' }
    case 'tls':
      return {
        security: 'tls',
        sni: security.serverName,
        fp: security.fingerprint,
        ...(security.alpn.length === 0 ? {} : { alpn: security.alpn.join(',') }),
        ...(security.pin === null ? {} : { pcs: security.pin }),
      }
    case 'reality': {
      const [serverName] = security.serverNames
      const [shortId] = security.shortIds
      if (serverName === undefined || shortId === undefined) {
        fail('BAD_INPUT', { field: 'stream', reason: 'REALITY needs a server name and a short id' })
      }
      // Always the first of each: a link that changes at every look could not be compared, and one is as good as another.
      return {
        security: 'reality',
        sni: serverName,
        fp: security.fingerprint,
        pbk: security.publicKey,
        sid: shortId,
        spx: '/',
      }
    }
  }
}

/** v2rayN's JSON, version 2: every value a text, what does not apply empty. */
function vmessJson(inbound: LinkedInbound, id: string, host: string, label: string): Parameters {
  const {
    type = '',
    headerType = 'none',
    mode,
    serviceName,
    path = '',
    host: httpHost = '',
    ...more
  } = {
    ...(transportParameters(inbound) as Partial<Parameters>),
  }
  const {
    security = 'none',
    sni = '',
    fp = '',
    alpn = '',
    ...rest
  } = {
    ...(securityParameters(inbound.stream) as Partial<Parameters>),
  }
  return {
    v: '2',
    ps: label,
    add: host,
    port: String(inbound.port),
    id,
    aid: '0',
    scy: 'auto',
    net: type,
    // For gRPC and XHTTP the field says how, for raw which header.
    type: mode ?? headerType,
    host: httpHost,
    path: serviceName ?? path,
    tls: security === 'none' ? '' : security,
    sni,
    fp,
    alpn,
    ...(more as Parameters),
    ...(rest as Parameters),
  }
}

function shadowsocksUser(
  inbound: LinkedInbound,
  account: Extract<XrayAccount, { type: 'shadowsocks' | 'shadowsocks2022' }>,
): string {
  if (account.type === 'shadowsocks') return base64url(`${account.method}:${account.password}`)
  // SIP022: keys are base64 already, so they are only escaped.
  const method = inbound.protocol === 'shadowsocks' ? inbound.settings.method : ''
  const keys = [inbound.linkSecrets.shadowsocksKey ?? '', account.key].map(encodeURIComponent)
  return `${method}:${keys.join(':')}`
}

/** Shadowsocks over anything but bare TCP is no part of SIP002; apps with Xray in them read the parameters all the same. */
function bareOrQuery({ stream: { transport, security } }: LinkedInbound, parameters: Parameters): string {
  const isBare = transport.type === 'raw' && transport.header === undefined && security.type === 'none'
  return isBare ? '' : `?${query(parameters)}`
}

function hysteriaParameters({ stream: { transport, security }, linkSecrets }: LinkedInbound): Parameters {
  if (security.type !== 'tls') fail('BAD_INPUT', { field: 'stream', reason: 'Hysteria 2 needs TLS' })
  const obfuscated = transport.type === 'hysteria' && transport.obfuscated
  return {
    security: 'tls',
    sni: security.serverName,
    alpn: 'h3',
    ...(security.pin === null ? {} : { pinSHA256: security.pin }),
    ...(obfuscated ? { obfs: 'salamander', 'obfs-password': linkSecrets.obfuscation ?? '' } : {}),
  }
}

function wireguardParameters(
  inbound: LinkedInbound,
  account: Extract<XrayAccount, { type: 'wireguard' }>,
): Parameters {
  if (inbound.protocol !== 'wireguard') return {}
  const { publicKey, mtu, dns } = inbound.settings
  return { publickey: publicKey, address: `${account.address}/32`, mtu: String(mtu), dns }
}

function query(parameters: Parameters): string {
  return Object.entries(parameters)
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join('&')
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host
}
