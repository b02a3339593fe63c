import type { InboundStream, Protocol, ProtocolSettings } from '#src/contract/index.ts'

export type Network = 'tcp' | 'udp'

type Transport = InboundStream['transport']['type']
type Security = InboundStream['security']['type']

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
export function streamMismatch(inbound: ProtocolSettings & { stream: InboundStream }): string | null {
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
  const hasHeader = transport.type === 'raw' && transport.header !== undefined
  if (hasHeader && security.type !== 'none') return 'an HTTP header would stand outside the encryption'
  if (hasHeader && (protocol === 'wireguard' || protocol === 'mixed' || protocol === 'tunnel')) {
    return `${protocol} has no HTTP header`
  }
  return null
}

/** On which networks an inbound listens. */
export function networksOf(inbound: ProtocolSettings & { stream: InboundStream }): Network[] {
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
      // What comes by UDP is told where to go by TCP, and to another port.
      return ['tcp']
    default: {
      const { transport, security } = inbound.stream
      if (transport.type === 'mkcp') return ['udp']
      // With HTTP/3 alone XHTTP is QUIC.
      const onlyH3 = security.type === 'tls' && security.alpn.length === 1 && security.alpn[0] === 'h3'
      return transport.type === 'xhttp' && onlyH3 ? ['udp'] : ['tcp']
    }
  }
}
