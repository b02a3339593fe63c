/** Every way an inbound can be carried and secured, as far as one can be told from another. */
import type { InboundInput, StreamInput } from '#src/contract/index.ts'
import { inboundInput } from '#src/contract/index.ts'
import { protocols, shadowsocksMethods } from '#src/contract/protocols.ts'
import { streamMismatch } from '#src/xray/config/streams.ts'
import type { Outbound } from './parse-link-stream.ts'

type Transport = StreamInput['transport']
type Security = StreamInput['security']

interface Named<T> {
  name: string
  value: T
}

const xhttpModes = ['auto', 'packet-up', 'stream-up', 'stream-one'] as const

const transports: Named<Transport>[] = [
  { name: 'raw', value: { type: 'raw' } },
  {
    name: 'raw http',
    value: { type: 'raw', header: { type: 'http', path: '/news', host: 'front.example' } },
  },
  { name: 'ws', value: { type: 'ws', path: "/a+b=c&d;e,f@g:h!$'()*~", host: 'front.example' } },
  { name: 'httpupgrade', value: { type: 'httpupgrade', path: '/up-grade', host: '' } },
  {
    name: 'grpc',
    value: { type: 'grpc', serviceName: 'a.Service-1', authority: 'front.example', multiMode: false },
  },
  { name: 'grpc multi', value: { type: 'grpc', serviceName: 'many', authority: '', multiMode: true } },
  ...xhttpModes.map((mode) => ({
    name: `xhttp ${mode}`,
    value: { type: 'xhttp' as const, path: '/x/http', host: mode === 'auto' ? '' : 'front.example', mode },
  })),
  { name: 'mkcp', value: { type: 'mkcp', mtu: 1_200 } },
  { name: 'hysteria', value: { type: 'hysteria', obfuscated: false } },
  { name: 'hysteria obfuscated', value: { type: 'hysteria', obfuscated: true } },
]

type Tls = Extract<Security, { type: 'tls' }>

const tls = (alpn: Tls['alpn']): Named<Security> => ({
  name: ['tls', ...alpn].join(' '),
  value: {
    type: 'tls',
    serverName: 'vpn.example',
    certificate: { source: 'own' },
    alpn,
    fingerprint: 'chrome',
  },
})

const plainSecurities: Named<Security>[] = [{ name: 'none', value: { type: 'none' } }, tls([])]
const alpns: Named<Security>[] = [tls(['h2']), tls(['http/1.1']), tls(['h2', 'http/1.1']), tls(['h3'])]

const realityOf = (target: string): Named<Security> => ({
  name: 'reality',
  value: {
    type: 'reality',
    target,
    serverNames: ['site.example'],
    shortIds: ['0123abcd'],
    fingerprint: 'chrome',
  },
})

export interface Combination {
  name: string
  protocol: InboundInput['protocol']
  /** As it is asked for, on a port that is given. */
  input: (tag: string, port: number) => InboundInput
  /** Why it does not go together; null: it is allowed. */
  mismatch: string | null
}

/** What each protocol is told beyond its stream. */
function settingsOf(protocol: InboundInput['protocol'], forwardTo: string): Named<object>[] {
  if (protocol === 'shadowsocks') {
    return shadowsocksMethods.map((method) => ({ name: `shadowsocks ${method}`, value: { method } }))
  }
  return [{ name: protocol, value: protocol === 'tunnel' ? { target: forwardTo } : {} }]
}

/**
 * All of them, also those that do not go together. What is independent is not multiplied: ALPN with VLESS, which
 * stands for all that are carried by the same streams; of the methods of Shadowsocks two with every stream.
 * @param site host and port of a site for REALITY
 * @param forwardTo host and port a tunnel leads to
 */
export function allCombinations(site: string, forwardTo: string): Combination[] {
  const securities = [...plainSecurities, realityOf(site)]
  return protocols.flatMap((protocol) =>
    settingsOf(protocol, forwardTo).flatMap((settings, index) =>
      transports.flatMap((transport) =>
        [...securities, ...alpns].flatMap((security) => {
          const hasAlpn = security.value.type === 'tls' && security.value.alpn.length > 0
          if (hasAlpn && !['vless', 'hysteria2'].includes(protocol)) return []
          const isPlain = transport.name === 'raw' && security.name === 'none'
          const everywhere = ['chacha20-ietf-poly1305', '2022-blake3-aes-128-gcm']
          const method = settings.name.replace('shadowsocks ', '')
          if (index > 0 && !isPlain && !everywhere.includes(method)) return []
          return [combination(protocol, settings, transport, security)]
        }),
      ),
    ),
  )
}

function combination(
  protocol: InboundInput['protocol'],
  settings: Named<object>,
  transport: Named<Transport>,
  security: Named<Security>,
): Combination {
  const input = (tag: string, port: number): InboundInput =>
    inboundInput.parse({
      tag,
      protocol,
      port,
      listen: '127.0.0.1',
      settings: settings.value,
      stream: { transport: transport.value, security: security.value },
    })
  return {
    name: `${settings.name}, ${transport.name}, ${security.name}`,
    protocol,
    input,
    mismatch: streamMismatch(input('probe', 1)),
  }
}

/** The same app with a credential nobody has. */
export function impostor(outbound: Outbound): Outbound {
  const other: Record<string, string> = {
    id: '00000000-0000-4000-8000-000000000000',
    auth: 'nobody-has-this',
    pass: 'nobody-has-this',
    secretKey: Buffer.alloc(32, 9).toString('base64'),
  }
  return JSON.parse(
    JSON.stringify(outbound, (key, value: unknown) => {
      if (key in other) return other[key]
      if (key !== 'password' || outbound.protocol === 'hysteria') return value
      if (outbound.streamSettings?.['finalmask'] !== undefined && !isCredential(outbound, value)) return value
      return otherPassword(String(value))
    }),
  ) as Outbound
}

/** Masks have a password too, which is the server's. */
function isCredential(outbound: Outbound, value: unknown): boolean {
  return JSON.stringify(outbound.settings).includes(JSON.stringify(value))
}

/** Keys of Shadowsocks 2022 come in pairs, and have a size. */
function otherPassword(password: string): string {
  const [server, own] = password.split(':')
  if (server === undefined || own === undefined) return 'nobody-has-this'
  return `${server}:${Buffer.alloc(Buffer.from(own, 'base64').length, 9).toString('base64')}`
}
