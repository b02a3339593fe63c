/**
 * Reads a share link the way a phone app does and makes an Xray outbound of it. Deliberately knows nothing of the
 * code that writes links: a link proves itself only to a reader of its own.
 */
import { type Outbound, type Read, securityOf, transportOf } from './parse-link-stream.ts'

/** How an app would connect with a link. */
export function outboundOf(link: string): Outbound {
  const scheme = link.slice(0, link.indexOf('://'))
  switch (scheme) {
    case 'vless':
      return vless(addressed(link))
    case 'vmess':
      return link.includes('@') ? vmess(addressed(link)) : vmessJson(link)
    case 'trojan':
      return trojan(addressed(link))
    case 'ss':
      return shadowsocks(addressed(link))
    case 'hysteria2':
      return hysteria2(addressed(link))
    case 'wireguard':
      return wireguard(addressed(link))
    case 'socks':
      return socks(addressed(link))
    default:
      throw new Error(`no app reads ${scheme}://`)
  }
}

/** The name an app would show for a link. */
export function labelOf(link: string): string {
  if (link.startsWith('vmess://') && !link.includes('@')) return vmessFields(link).need('ps')
  return decodeURIComponent(link.slice(link.indexOf('#') + 1))
}

interface Addressed extends Read {
  /** Before the @, still escaped. */
  user: string
  address: string
  port: number
}

function addressed(link: string): Addressed {
  const parts = /^\w+:\/\/([^@/?#]+)@(\[[0-9a-fA-F:.]+\]|[^:/?#[\]]+):(\d+)(?:\?([^#]*))?#(.+)$/.exec(link)
  if (parts === null) throw new Error('not a link with a user, an address, a port and a name')
  const [, user = '', host = '', port, query = ''] = parts
  return { user, address: host.replace(/^\[|\]$/g, ''), port: Number(port), ...readQuery(query) }
}

/** Values are percent-encoded; a plus is a plus, as apps take it. */
function readQuery(query: string): Read {
  const pairs = query === '' ? [] : query.split('&')
  const values = new Map(
    pairs.map((pair) => {
      const [, name = '', value = ''] = /^([^=]+)=(.*)$/.exec(pair) ?? []
      return [name, decodeURIComponent(value)]
    }),
  )
  return reading(values)
}

function reading(values: ReadonlyMap<string, string>): Read {
  return {
    find: (name) => values.get(name),
    need(name) {
      const value = values.get(name)
      if (value === undefined) throw new Error(`the link has no ${name}`)
      return value
    },
  }
}

function streamOf(read: Read): Record<string, unknown> {
  return { ...transportOf(read), ...securityOf(read) }
}

function vless(link: Addressed): Outbound {
  const { user: id, address, port, need, find } = link
  if (!/^[0-9a-f-]{36}$/.test(id)) throw new Error('not the id of a VLESS user')
  if (need('encryption') !== 'none') throw new Error(`unknown encryption ${need('encryption')}`)
  const flow = find('flow')
  const person = { id, encryption: 'none', ...(flow === undefined ? {} : { flow }) }
  return {
    protocol: 'vless',
    settings: { vnext: [{ address, port, users: [person] }] },
    streamSettings: streamOf(link),
  }
}

function vmessFields(link: string): Read {
  const fields = JSON.parse(Buffer.from(link.slice('vmess://'.length), 'base64').toString()) as object
  return reading(new Map(Object.entries(fields).map(([name, value]) => [name, String(value)])))
}

/** v2rayN's JSON says the same in other words. */
function vmessJson(link: string): Outbound {
  const { need, find } = vmessFields(link)
  if (need('v') !== '2' || need('aid') !== '0') throw new Error('VMess of another time')
  const network = need('net')
  const renamed: Record<string, string | undefined> = {
    type: network,
    security: need('tls') === '' ? 'none' : need('tls'),
    headerType: ['tcp', 'kcp'].includes(network) ? need('type') : undefined,
    mode: ['grpc', 'xhttp'].includes(network) ? need('type') : undefined,
    path: find('path'),
    seed: network === 'kcp' ? find('path') : undefined,
    serviceName: network === 'grpc' ? find('path') : undefined,
    authority: network === 'grpc' ? find('host') : undefined,
  }
  const given = new Map(
    ['host', 'sni', 'fp', 'alpn', 'pcs', 'mtu'].map((name) => [name, find(name) ?? ''] as const),
  )
  const all = [...given, ...Object.entries(renamed).map(([name, value]) => [name, value ?? ''] as const)]
  const read = reading(new Map(all.filter(([, value]) => value !== '')))
  const port = Number(need('port'))
  return vmessOutbound(need('id'), need('scy'), need('add'), port, read)
}

function vmess(link: Addressed): Outbound {
  return vmessOutbound(link.user, link.need('encryption'), link.address, link.port, link)
}

function vmessOutbound(id: string, security: string, address: string, port: number, read: Read): Outbound {
  return {
    protocol: 'vmess',
    settings: { vnext: [{ address, port, users: [{ id, security }] }] },
    streamSettings: streamOf(read),
  }
}

function trojan(link: Addressed): Outbound {
  const { user, address, port } = link
  return {
    protocol: 'trojan',
    settings: { servers: [{ address, port, password: decodeURIComponent(user) }] },
    streamSettings: streamOf(link),
  }
}

function shadowsocks(link: Addressed): Outbound {
  const { user, address, port, find } = link
  // SIP022 leaves the colons as they are, SIP002 hides them in base64.
  const [method = '', ...rest] = (
    user.includes(':') ? decodeURIComponent(user) : Buffer.from(user, 'base64url').toString()
  ).split(':')
  const plugin = find('plugin')
  return {
    protocol: 'shadowsocks',
    settings: { servers: [{ address, port, method, password: rest.join(':') }] },
    // Where there is both, a plugin is what apps go by.
    streamSettings:
      plugin === undefined && find('type') !== undefined ? streamOf(link) : pluginStream(plugin),
  }
}

/** The plugins of Shadowsocks that apps with Xray in them read. */
function pluginStream(plugin: string | undefined): Record<string, unknown> {
  if (plugin === undefined) return { network: 'raw', security: 'none' }
  const [name, ...options] = plugin.split(';')
  const values = new Map(
    options.map((option): [string, string] => {
      const [, key = option, value = ''] = /^([^=]+)=(.*)$/.exec(option) ?? []
      return [key, value.replace(/\\([\\=,])/g, '$1')]
    }),
  )
  const { need } = reading(values)
  if (name === 'v2ray-plugin') return webSocketPlugin(values, need)
  if (name !== 'obfs-local' || values.get('obfs') !== 'http') throw new Error(`unknown plugin ${plugin}`)
  const fields = { type: 'tcp', headerType: 'http', host: need('obfs-host'), path: need('path') }
  return { ...transportOf(reading(new Map(Object.entries(fields)))), security: 'none' }
}

/** As v2rayN takes it: the host is the name for TLS too, and several connections in one are nothing for Xray. */
function webSocketPlugin(values: ReadonlyMap<string, string>, need: Read['need']): Record<string, unknown> {
  if (need('mode') !== 'websocket' || need('mux') !== '0') throw new Error('Xray has no such plugin')
  const host = values.get('host') ?? ''
  const fields = { type: 'ws', path: need('path'), ...(host === '' ? {} : { host }) }
  const security = values.has('tls')
    ? { security: 'tls', tlsSettings: { serverName: host } }
    : { security: 'none' }
  return { ...transportOf(reading(new Map(Object.entries(fields)))), ...security }
}

function hysteria2(link: Addressed): Outbound {
  const { user, address, port, need, find } = link
  if (need('security') !== 'tls' || need('alpn') !== 'h3') throw new Error('Hysteria 2 is QUIC')
  const pin = find('pinSHA256')
  // As its own client has it: without this the pin is checked beside an authority, not instead of it.
  if (pin !== undefined && need('insecure') !== '1') throw new Error('no authority knows this certificate')
  const obfuscation = find('obfs')
  if (obfuscation !== undefined && obfuscation !== 'salamander') throw new Error(`unknown ${obfuscation}`)
  return {
    protocol: 'hysteria',
    settings: { version: 2, address, port },
    streamSettings: {
      network: 'hysteria',
      security: 'tls',
      tlsSettings: {
        serverName: need('sni'),
        alpn: ['h3'],
        ...(pin === undefined ? {} : { pinnedPeerCertSha256: pin }),
      },
      hysteriaSettings: { version: 2, auth: decodeURIComponent(user) },
      ...(obfuscation === undefined
        ? {}
        : { finalmask: { udp: [{ type: 'salamander', settings: { password: need('obfs-password') } }] } }),
    },
  }
}

function wireguard(link: Addressed): Outbound {
  const { user, address, port, need } = link
  const endpoint = `${address.includes(':') ? `[${address}]` : address}:${port}`
  return {
    protocol: 'wireguard',
    settings: {
      secretKey: decodeURIComponent(user),
      address: need('address').split(','),
      mtu: Number(need('mtu')),
      peers: [{ publicKey: need('publickey'), endpoint }],
      noKernelTun: true,
    },
  }
}

function socks(link: Addressed): Outbound {
  const { user: escaped, address, port } = link
  // As apps do: the first colon ends the name.
  const [, user, pass] = /^([^:]*):(.*)$/s.exec(Buffer.from(escaped, 'base64url').toString()) ?? []
  return {
    protocol: 'socks',
    settings: { servers: [{ address, port, users: [{ user, pass }] }] },
  }
}
