import { createHash } from 'node:crypto'
import type { InboundStream, Protocol, ProtocolSettings, ShadowsocksMethod } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { XrayAccount } from './model.ts'
import { clampX25519, publicKeyBytes } from './x25519.ts'

/** What of a client makes its accounts: one id and one password, whatever the inbounds it stands in. */
export interface AccountSource {
  /** Its id on this server: WireGuard's addresses are counted by it. */
  id: number
  uuid: string
  password: string
  flow: string
}

/** Clients of an inbound may use XTLS Vision: it splices TLS records, so it needs TLS on a bare stream. */
export function carriesFlow(inbound: { protocol: string; stream: InboundStream }): boolean {
  const { transport, security } = inbound.stream
  return (
    inbound.protocol === 'vless' &&
    transport.type === 'raw' &&
    transport.header === undefined &&
    security.type !== 'none'
  )
}

/** Whether Xray can be told of one client more or less; otherwise the inbound is closed and opened again. */
export function takesUsersWhileRunning(inbound: { protocol: Protocol }): boolean {
  return inbound.protocol !== 'wireguard' && inbound.protocol !== 'mixed'
}

/** Whether people stand in it at all. */
export function hasClients(inbound: { protocol: Protocol }): boolean {
  return inbound.protocol !== 'tunnel'
}

/** Whether Xray counts for each of its users; otherwise for the inbound as a whole. */
export function countsUsers(protocol: Protocol): boolean {
  return protocol !== 'wireguard' && protocol !== 'tunnel'
}

/**
 * Whether an Xray with these inbounds is to count them as a whole, closed ones included. Only where something is
 * counted no other way, and never beside Hysteria: whose connections those are, Xray forgets over counting them for
 * their inbound (26.3.27; XTLS/Xray-core issue 5868). Xray reads this at its start.
 */
export function countsInbounds(inbounds: readonly { protocol: Protocol }[]): boolean {
  return (
    inbounds.some(({ protocol }) => !countsUsers(protocol)) &&
    !inbounds.some(({ protocol }) => protocol === 'hysteria2')
  )
}

/**
 * The account a client has in one inbound. A client asks for Vision once; it gets it wherever it works, and goes
 * without elsewhere, so that one client can stand in inbounds of different kinds.
 */
export function accountIn(
  inbound: ProtocolSettings & { stream: InboundStream },
  client: AccountSource,
): XrayAccount {
  const { uuid, password, flow, id } = client
  switch (inbound.protocol) {
    case 'vless':
      return { type: 'vless', id: uuid, flow: carriesFlow(inbound) ? flow : '' }
    case 'vmess':
      return { type: 'vmess', id: uuid }
    case 'trojan':
      return { type: 'trojan', password }
    case 'shadowsocks': {
      const { method } = inbound.settings
      const size = shadowsocks2022KeySize(method)
      if (size === null) return { type: 'shadowsocks', password, method }
      return { type: 'shadowsocks2022', key: shadowsocks2022Key(password, size) }
    }
    case 'hysteria2':
      return { type: 'hysteria', auth: password }
    case 'wireguard': {
      const privateKey = clampX25519(derived('wireguard', password))
      return {
        type: 'wireguard',
        privateKey: privateKey.toString('base64'),
        publicKey: publicKeyBytes(privateKey).toString('base64'),
        address: tunnelAddress(id),
      }
    }
    case 'mixed':
      return { type: 'mixed', password }
    case 'tunnel':
      return fail('BAD_INPUT', { field: 'id', reason: 'a tunnel has no clients' })
  }
}

/** How long the keys of a method are, bytes; null for methods that take any password. */
export function shadowsocks2022KeySize(method: ShadowsocksMethod): number | null {
  if (method === '2022-blake3-aes-128-gcm') return 16
  return method === '2022-blake3-aes-256-gcm' ? 32 : null
}

/** A password that is such a key already, as one that comes from another panel, stays it. */
function shadowsocks2022Key(password: string, size: number): string {
  const given = Buffer.from(password, 'base64')
  if (given.length === size && given.toString('base64') === password) return password
  return derived('shadowsocks-2022', password).subarray(0, size).toString('base64')
}

/** 32 bytes that follow from a password, others for each purpose. The password itself has the entropy. */
function derived(purpose: string, password: string): Buffer {
  return createHash('sha256').update(`fleetgram ${purpose}\0${password}`).digest()
}

/** The server's own address inside a WireGuard tunnel: the last of the network, where no client's id ever comes. */
export const tunnelServerAddress = '10.255.255.254'
const tunnelHosts = 2 ** 24 - 2

/**
 * A client's address inside a WireGuard tunnel, counted by its id: ids are never used twice, so an address needs no
 * book-keeping, and the controller knows it from the mirrored row.
 */
function tunnelAddress(id: number): string {
  if (id >= tunnelHosts) fail('BAD_INPUT', { field: 'id', reason: 'WireGuard has run out of addresses' })
  return `10.${(id >> 16) & 255}.${(id >> 8) & 255}.${id & 255}`
}
