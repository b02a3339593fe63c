import type { Inbound } from '#src/contract/index.ts'
import type { T } from '../i18n/texts.ts'

type Kind = Pick<Inbound, 'protocol' | 'settings' | 'stream' | 'port'>

/** Protocols that are carried in one way only, which needs no word. */
const carriedOneWay: ReadonlySet<Inbound['protocol']> = new Set(['wireguard', 'mixed', 'tunnel'])

/** Protocol, transport and security in words: "VLESS · XHTTP · REALITY". */
export function kindWords({ protocol, settings, stream: { transport, security } }: Kind, t: T): string {
  const version = 'method' in settings && settings.method.startsWith('2022-') ? ' 2022' : ''
  const hasHeader = transport.type === 'raw' && transport.header !== undefined
  return [
    t(`kind.protocol.${protocol}`) + version,
    ...(carriedOneWay.has(protocol)
      ? []
      : [hasHeader ? t('kind.transport.rawHttp') : t(`kind.transport.${transport.type}`)]),
    ...(security.type === 'none' ? [] : [t(`kind.security.${security.type}`)]),
  ].join(' · ')
}

/** How to connect, and what an admin should know of it. */
export function howWords({ protocol, settings, stream, port }: Kind, t: T): string[] {
  const { transport, security } = stream
  const isQuic = security.type === 'tls' && security.alpn.join() === 'h3'
  const isUdp = ['hysteria', 'mkcp'].includes(transport.type) || protocol === 'wireguard' || isQuic
  const ownCertificate = security.type === 'tls' && security.certificate.source === 'own'
  return [
    protocol === 'tunnel'
      ? t('how.tunnel', { port, target: 'target' in settings ? settings.target : '' })
      : t(`how.${protocol === 'wireguard' || protocol === 'mixed' ? protocol : 'app'}`),
    ...(isUdp ? [t('how.udp', { port })] : []),
    ...(ownCertificate ? [t('how.ownCertificate')] : []),
    ...(protocol === 'wireguard' ? [t('how.whole')] : []),
    ...(protocol === 'hysteria2' ? [t('how.hysteria')] : []),
  ]
}
