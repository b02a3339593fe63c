import type { InboundStream } from '#src/contract/index.ts'
import { shadowsocks2022KeySize, tunnelServerAddress } from './account.ts'
import type { XrayInbound, XrayUser } from './model.ts'

/** The inbound Xray is handed over its API or in its configuration. */
export interface RenderedInbound {
  tag: string
  port: number
  [field: string]: unknown
}

/** One inbound with its users. */
export function renderInbound(inbound: XrayInbound, users: readonly XrayUser[]): RenderedInbound {
  return {
    tag: inbound.tag,
    listen: inbound.listen,
    port: inbound.port,
    protocol: xrayProtocols[inbound.protocol],
    settings: settings(inbound, users),
    streamSettings: streamSettings(inbound),
    sniffing: inbound.sniffing,
  }
}

const xrayProtocols: Record<XrayInbound['protocol'], string> = {
  vless: 'vless',
  vmess: 'vmess',
  trojan: 'trojan',
  shadowsocks: 'shadowsocks',
  hysteria2: 'hysteria',
  wireguard: 'wireguard',
  mixed: 'mixed',
  tunnel: 'dokodemo-door',
}

function settings(inbound: XrayInbound, users: readonly XrayUser[]): object {
  const clients = users.map(client)
  const { secrets } = inbound
  switch (inbound.protocol) {
    case 'vless':
      return { decryption: 'none', clients, ...fallbacks(inbound.settings.fallbacks) }
    case 'vmess':
      return { clients }
    case 'trojan':
      return { clients, ...fallbacks(inbound.settings.fallbacks) }
    case 'shadowsocks': {
      const { method } = inbound.settings
      // mKCP takes the whole UDP port: beside it, Xray would listen for bare packets there and get half of them.
      const network = inbound.stream.transport.type === 'mkcp' ? 'tcp' : inbound.settings.network
      const size = shadowsocks2022KeySize(method)
      if (size === null) return { clients, network }
      // Without any client Xray would take the server's own key for a client's, and never accept one later.
      const nobody = { password: guardKey(secrets.guard ?? '', size), email: nobodyOf(inbound.tag) }
      return { method, password: secrets.shadowsocksKey ?? '', clients: [nobody, ...clients], network }
    }
    case 'hysteria2':
      return { version: 2, clients }
    case 'wireguard':
      return {
        secretKey: secrets.wireguardKey ?? '',
        address: [`${tunnelServerAddress}/32`],
        peers: clients,
        mtu: inbound.settings.mtu,
        // The kernel's own needs rights over the machine's network that Xray should not have.
        noKernelTun: true,
      }
    case 'mixed':
      return {
        auth: 'password',
        // Without any account Xray would let everybody in by HTTP.
        accounts: [{ user: nobodyOf(inbound.tag), pass: secrets.guard ?? '' }, ...clients],
        udp: inbound.settings.udp,
      }
    case 'tunnel': {
      const { target, network } = inbound.settings
      const colon = target.lastIndexOf(':')
      const address = target.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
      return { address, port: Number(target.slice(colon + 1)), network }
    }
  }
}

/** The name of the account nobody has. It is no name of a client, since it lacks the number behind. */
export const nobodyOf = (tag: string): string => `nobody@${tag}`

/** A key of the size Xray wants, out of a secret that is longer. */
function guardKey(guard: string, size: number): string {
  return Buffer.from(guard, 'base64url').subarray(0, size).toString('base64')
}

function fallbacks(list: readonly { dest: string | number }[]): object {
  return list.length === 0 ? {} : { fallbacks: list }
}

/** One client in the words of its protocol. */
function client({ email, account }: XrayUser): object {
  switch (account.type) {
    case 'vless':
      return account.flow === '' ? { id: account.id, email } : { id: account.id, email, flow: account.flow }
    case 'vmess':
      return { id: account.id, email }
    case 'trojan':
      return { password: account.password, email }
    case 'shadowsocks':
      return { method: account.method, password: account.password, email }
    case 'shadowsocks2022':
      return { password: account.key, email }
    case 'hysteria':
      return { auth: account.auth, email }
    case 'wireguard':
      return { publicKey: account.publicKey, allowedIPs: [`${account.address}/32`] }
    case 'mixed':
      return { user: email, pass: account.password }
  }
}

function streamSettings(inbound: XrayInbound): object {
  const { stream, secrets } = inbound
  return { ...transportSettings(stream.transport, secrets.obfuscation ?? ''), ...securitySettings(inbound) }
}

/** How a stream is carried. */
function transportSettings(transport: InboundStream['transport'], obfuscation: string): object {
  switch (transport.type) {
    case 'raw':
      return transport.header === undefined
        ? { network: 'raw' }
        : { network: 'raw', rawSettings: { header: httpHeader(transport.header) } }
    case 'ws':
      return { network: 'ws', wsSettings: pathAndHost(transport) }
    case 'httpupgrade':
      return { network: 'httpupgrade', httpupgradeSettings: pathAndHost(transport) }
    case 'grpc': {
      const { serviceName, authority, multiMode } = transport
      return { network: 'grpc', grpcSettings: { serviceName, authority, multiMode } }
    }
    case 'xhttp':
      return { network: 'xhttp', xhttpSettings: { ...pathAndHost(transport), mode: transport.mode } }
    case 'mkcp':
      return {
        network: 'mkcp',
        kcpSettings: { mtu: transport.mtu },
        finalmask: mkcpMask(obfuscation),
      }
    case 'hysteria':
      return {
        network: 'hysteria',
        hysteriaSettings: { version: 2 },
        ...(transport.obfuscated ? { finalmask: salamanderMask(obfuscation) } : {}),
      }
  }
}

/** mKCP's packets, encrypted with a password: since 26.x a mask of Xray's, once the transport's own `seed`. */
const mkcpMask = (password: string) => ({ udp: [{ type: 'mkcp-aes128gcm', settings: { password } }] })
const salamanderMask = (password: string) => ({ udp: [{ type: 'salamander', settings: { password } }] })

function pathAndHost({ path, host }: { path: string; host: string }): object {
  return host === '' ? { path } : { path, host }
}

function httpHeader({ path, host }: { path: string; host: string }): object {
  return {
    type: 'http',
    request: { path: [path], headers: host === '' ? {} : { Host: [host] } },
  }
}

function securitySettings({ stream, secrets, certificateFiles }: XrayInbound): object {
  const { security, transport } = stream
  switch (security.type) {
    case 'none':
      return { security: 'none' }
    case 'tls': {
      // Left to itself, Hysteria's listener would agree on HTTP/1.1 or HTTP/2, and so with nobody.
      const alpn = transport.type === 'hysteria' ? ['h3'] : security.alpn
      return {
        security: 'tls',
        tlsSettings: {
          certificates: [
            certificateFiles ?? {
              certificate: lines(secrets.certificate),
              key: lines(secrets.certificateKey),
            },
          ],
          ...(alpn.length === 0 ? {} : { alpn }),
        },
      }
    }
    case 'reality':
      return {
        security: 'reality',
        realitySettings: {
          target: security.target,
          serverNames: security.serverNames,
          privateKey: secrets.privateKey ?? '',
          shortIds: security.shortIds,
        },
      }
  }
}

/** Xray takes PEM as a list of lines. */
function lines(pem = ''): string[] {
  return pem.split('\n').filter((line) => line !== '')
}
