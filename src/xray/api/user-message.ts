/** A client as Xray's API is told of it, and tells of it. */
import type { ShadowsocksMethod } from '#src/contract/index.ts'
import { type TypedMessage, type UserMessage, accounts } from './messages.ts'
import type { XrayAccount, XrayUser } from '../config/model.ts'

/** Xray's numbers for the ciphers of Shadowsocks: CipherType in proxy/shadowsocks/config.proto. */
const ciphers: Partial<Record<ShadowsocksMethod, number>> = {
  'aes-128-gcm': 5,
  'aes-256-gcm': 6,
  'chacha20-ietf-poly1305': 7,
  'xchacha20-ietf-poly1305': 8,
}

export function toUserMessage({ email, account }: XrayUser): UserMessage {
  return { email, account: toTypedMessage(account) }
}

/** The user a message tells of; one of a kind that is not ours has no account that equals any. */
export function fromUserMessage(message: UserMessage): { email: string; account: XrayAccount | null } {
  return { email: message.email, account: fromTypedMessage(message.account ?? null) }
}

function toTypedMessage(account: XrayAccount): TypedMessage {
  switch (account.type) {
    case 'vless':
      return typed(accounts.vless, { id: account.id, flow: account.flow, encryption: '' })
    case 'vmess':
      return typed(accounts.vmess, { id: account.id })
    case 'trojan':
      return typed(accounts.trojan, { password: account.password })
    case 'shadowsocks':
      return typed(accounts.shadowsocks, {
        password: account.password,
        cipher_type: ciphers[account.method] ?? 0,
      })
    case 'shadowsocks2022':
      return typed(accounts.shadowsocks2022, { key: account.key })
    case 'hysteria':
      return typed(accounts.hysteria, { auth: account.auth })
    case 'wireguard':
    case 'mixed':
      throw new TypeError(`Xray's API takes no users of ${account.type}`)
  }
}

function typed<T>(
  kind: { type: string; codec: { encode: (message: T) => Buffer } },
  message: T,
): TypedMessage {
  return { type: kind.type, value: kind.codec.encode(message) }
}

function fromTypedMessage(message: TypedMessage | null): XrayAccount | null {
  if (message === null) return null
  const { type, value } = message
  switch (type) {
    case accounts.vless.type: {
      const { id, flow } = accounts.vless.codec.decode(value)
      return { type: 'vless', id, flow }
    }
    case accounts.vmess.type:
      return { type: 'vmess', id: accounts.vmess.codec.decode(value).id }
    case accounts.trojan.type:
      return { type: 'trojan', password: accounts.trojan.codec.decode(value).password }
    case accounts.shadowsocks.type: {
      const { password, cipher_type: cipher } = accounts.shadowsocks.codec.decode(value)
      const method = Object.entries(ciphers).find(([, number]) => number === cipher)?.[0]
      return method === undefined
        ? null
        : { type: 'shadowsocks', password, method: method as ShadowsocksMethod }
    }
    case accounts.shadowsocks2022.type:
      return { type: 'shadowsocks2022', key: accounts.shadowsocks2022.codec.decode(value).key }
    case accounts.hysteria.type:
      return { type: 'hysteria', auth: accounts.hysteria.codec.decode(value).auth }
    default:
      return null
  }
}

/** Whether Xray's user is as it should be. Its name is compared to the letter: Xray counts under the one it was given. */
export function isSameUser(there: { email: string; account: XrayAccount | null }, wanted: XrayUser): boolean {
  return (
    there.account !== null &&
    there.email === wanted.email &&
    JSON.stringify(normal(there.account)) === JSON.stringify(normal(wanted.account))
  )
}

/** UUIDs have one value whatever their case. */
function normal(account: XrayAccount): XrayAccount {
  return 'id' in account ? { ...account, id: account.id.toLowerCase() } : account
}
