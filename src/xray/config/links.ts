import { isIPv6 } from 'node:net'
import { type AccountSource, accountIn } from './account.ts'
import {
  type Parameters,
  hysteriaParameters,
  shadowsocksParameters,
  streamParameters,
  vmessJson,
} from './link-parameters.ts'
import type { LinkedInbound, XrayAccount } from './model.ts'
import { xrayName } from './user-name.ts'

export interface LinkSource {
  inbound: LinkedInbound
  client: AccountSource & { email: string }
  /** Where people reach the server: a name or an IP address. */
  host: string
  /** What the app shows; `<remark or tag>-<client>` unless told. */
  name?: string
}

/**
 * The link an app is set up with; null for an inbound without clients. The shapes are those apps read: VLESS and Trojan
 * by the share-link convention, VMess in v2rayN's JSON, Shadowsocks by SIP002, Hysteria 2 by its own scheme, WireGuard
 * and SOCKS as v2rayN writes them. It is a credential: never log it.
 */
export function shareLink({ inbound, client, host, name }: LinkSource): string | null {
  if (inbound.protocol === 'tunnel') return null
  const label = name ?? `${inbound.remark === '' ? inbound.tag : inbound.remark}-${client.email}`
  const account = accountIn(inbound, client)
  const link = (scheme: string, user: string, parameters: Parameters): string =>
    `${scheme}://${user}@${bracketed(host)}:${inbound.port}${query(parameters)}#${encodeURIComponent(label)}`
  switch (account.type) {
    case 'vless': {
      const flow: Parameters = account.flow === '' ? {} : { flow: account.flow }
      return link('vless', account.id, { encryption: 'none', ...streamParameters(inbound), ...flow })
    }
    case 'vmess':
      // The JSON has no place for REALITY's keys; the apps that know both read the convention's form as well.
      return inbound.stream.security.type === 'reality'
        ? link('vmess', account.id, { encryption: 'auto', ...streamParameters(inbound) })
        : `vmess://${base64(JSON.stringify(vmessJson(inbound, account.id, host, label)))}`
    case 'trojan':
      return link('trojan', encodeURIComponent(account.password), streamParameters(inbound))
    case 'shadowsocks':
    case 'shadowsocks2022':
      return link('ss', shadowsocksUser(inbound, account), shadowsocksParameters(inbound, host))
    case 'hysteria':
      return link('hysteria2', encodeURIComponent(account.auth), hysteriaParameters(inbound))
    case 'wireguard':
      return link(
        'wireguard',
        encodeURIComponent(account.privateKey),
        wireguardParameters(inbound, account.address),
      )
    case 'mixed':
      // Xray knows who it is by this name, as it does everywhere else.
      return link('socks', base64url(`${xrayName(client.email, inbound.id)}:${account.password}`), {})
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

function wireguardParameters(inbound: LinkedInbound, address: string): Parameters {
  if (inbound.protocol !== 'wireguard') return {}
  const { publicKey, mtu, dns } = inbound.settings
  return { publickey: publicKey, address: `${address}/32`, mtu: String(mtu), dns }
}

function query(parameters: Parameters): string {
  const pairs = Object.entries(parameters).map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
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
