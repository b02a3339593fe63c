import type { GivenProtocolSettings, InboundStream, Protocol, StreamInput } from '#src/contract/index.ts'

export type Network = 'tcp' | 'udp'

type Transport = InboundStream['transport']['type']
type Security = InboundStream['security']['type']
type Alpn = Extract<InboundStream['security'], { type: 'tls' }>['alpn'][number]

const overAnything: readonly Transport[] = ['raw', 'ws', 'httpupgrade', 'grpc', 'xhttp', 'mkcp']

/** Which transports and securities a protocol goes with: where both fit, Xray carries it. */
const fits: Record<Protocol, { transports: readonly Transport[]; securities: readonly Security[] }> = {
  vless: { transports: overAnything, securities: ['none', 'tls', 'reality'] },
  vmess: { transports: overAnything, securities: ['none', 'tls', 'reality'] },
  trojan: { transports: overAnything, securities: ['none', 'tls', 'reality'] },
  shadowsocks: { transports: overAnything, securities: ['none', 'tls', 'reality'] },
  hysteria2: { transports: ['hysteria'], securities: ['tls'] },
  wireguard: { transports: ['raw'], securities: ['none'] },
  mixed: { transports: ['raw'], securities: ['none'] },
  tunnel: { transports: ['raw'], securities: ['none'] },
}

/** REALITY takes over a TLS handshake, so it needs a transport that begins with one it makes itself. */
const transportsOfReality: readonly Transport[] = ['raw', 'grpc', 'xhttp']

/** Why a protocol, its transport and its security do not go together, in words; null where they do. */
export function streamMismatch(inbound: GivenProtocolSettings & { stream: StreamInput }): string | null {
  const { protocol } = inbound
  const { transport, security } = inbound.stream
  const { transports, securities } = fits[protocol]
  if (!transports.includes(transport.type)) {
    return `${protocol} does not go over ${transport.type}, but over ${transports.join(', ')}`
  }
  if (!securities.includes(security.type)) {
    return `${protocol} does not go with ${security.type}, but with ${securities.join(', ')}`
  }
  if (security.type === 'reality' && !transportsOfReality.includes(transport.type)) {
    return `REALITY does not go with ${transport.type}, but with ${transportsOfReality.join(', ')}`
  }
  const isBare = transport.type === 'raw' && security.type === 'none'
  if (protocol === 'shadowsocks' && inbound.settings.network === 'udp' && !isBare) {
    return 'shadowsocks by UDP alone has no stream to carry'
  }
  const alpn = security.type === 'tls' ? alpnMismatch(transport.type, security.alpn) : null
  if (alpn !== null) return alpn
  const hasHeader = transport.type === 'raw' && transport.header !== undefined
  if (hasHeader && security.type !== 'none') return 'an HTTP header would stand outside the encryption'
  if (hasHeader && (protocol === 'wireguard' || protocol === 'mixed' || protocol === 'tunnel')) {
    return `${protocol} has no HTTP header`
  }
  return null
}

/** Some transports speak one kind of HTTP alone; with an ALPN that leaves it out nobody would ever connect. */
function alpnMismatch(transport: Transport, alpn: readonly Alpn[]): string | null {
  if (alpn.length === 0) return null
  if (transport === 'hysteria') return isOnlyH3(alpn) ? null : 'hysteria goes with the ALPN h3 alone'
  if (alpn.includes('h3') && !(transport === 'xhttp' && isOnlyH3(alpn))) {
    return 'the ALPN h3 goes with xhttp and hysteria, and with no other ALPN beside it'
  }
  if (transport === 'grpc' && !alpn.includes('h2')) return 'grpc needs the ALPN h2'
  const isHttp1 = transport === 'ws' || transport === 'httpupgrade'
  return isHttp1 && !alpn.includes('http/1.1') ? `${transport} needs the ALPN http/1.1` : null
}

const isOnlyH3 = (alpn: readonly Alpn[]): boolean => alpn.length === 1 && alpn[0] === 'h3'

/** On which networks an inbound listens. */
export function networksOf(inbound: GivenProtocolSettings & { stream: StreamInput }): Network[] {
  switch (inbound.protocol) {
    case 'hysteria2':
    case 'wireguard':
      return ['udp']
    case 'shadowsocks':
    case 'tunnel':
      return inbound.stream.transport.type === 'mkcp'
        ? ['udp']
        : inbound.settings.network.split(',').map((network) => network as Network)
    case 'mixed':
      return inbound.settings.udp ? ['tcp', 'udp'] : ['tcp']
    default: {
      const { transport, security } = inbound.stream
      if (transport.type === 'mkcp') return ['udp']
      // With HTTP/3 alone XHTTP is QUIC.
      const isQuic = transport.type === 'xhttp' && security.type === 'tls' && isOnlyH3(security.alpn)
      return isQuic ? ['udp'] : ['tcp']
    }
  }
}
