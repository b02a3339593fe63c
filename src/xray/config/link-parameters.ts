/** How links tell of a stream: by the share-link convention (XTLS/Xray-core discussion 716), and by that of plugins. */
import type { InboundStream } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { LinkedInbound } from './model.ts'

/** What stands behind the question mark, not yet escaped. */
export type Parameters = Record<string, string>

/** The stream of an inbound in the parameters of the convention. */
export function streamParameters(inbound: LinkedInbound): Parameters {
  return { ...transportParameters(inbound), ...securityParameters(inbound.stream) }
}

/** How it is carried. The raw transport is still called tcp there. */
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
      // Xray has made a mask of the seed, and renamed it since; each app knows what its own Xray calls it.
      return {
        type: 'kcp',
        headerType: 'none',
        seed: linkSecrets.obfuscation ?? '',
        mtu: String(transport.mtu),
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
        // Not "insecure" beside it: an app that knows no pins should refuse the certificate, not take any.
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

/** v2rayN's JSON for VMess, version 2: every value a text, what does not apply empty. */
export function vmessJson(inbound: LinkedInbound, id: string, host: string, label: string): Parameters {
  const told = streamParameters(inbound) as Partial<Parameters>
  const { type = '', mode, headerType = 'none', serviceName, authority, seed, path, pcs, mtu } = told
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
    host: authority ?? told['host'] ?? '',
    path: serviceName ?? seed ?? path ?? '',
    tls: told['security'] === 'tls' ? 'tls' : '',
    sni: told['sni'] ?? '',
    fp: told['fp'] ?? '',
    alpn: told['alpn'] ?? '',
    ...(pcs === undefined ? {} : { pcs }),
    ...(mtu === undefined ? {} : { mtu }),
  }
}

/**
 * Shadowsocks: nothing at all for bare TCP, which is all that SIP002 knows beside plugins. The HTTP header as the plugin
 * that v2rayN and v2rayNG take for it, WebSocket beside the convention as the one v2rayN takes; the rest by the convention
 * alone, which few apps read with this protocol.
 */
export function shadowsocksParameters(inbound: LinkedInbound, host: string): Parameters {
  const { transport, security } = inbound.stream
  if (transport.type !== 'raw' || security.type !== 'none') {
    const plugin = webSocketPlugin(inbound.stream)
    return { ...streamParameters(inbound), ...(plugin === null ? {} : { plugin }) }
  }
  if (transport.header === undefined) return {}
  const { path, host: front } = transport.header
  return { plugin: `obfs-local;obfs=http;obfs-host=${front === '' ? host : front};path=${path}` }
}

/**
 * WebSocket as v2ray-plugin's options, SIP003; null where they cannot tell all of it. Its host is the name in TLS too,
 * it knows no pins, and apps part the options at each semicolon, escaped or not.
 */
function webSocketPlugin({ transport, security }: InboundStream): string | null {
  if (transport.type !== 'ws' || security.type === 'reality' || transport.path.includes(';')) return null
  const isTls = security.type === 'tls'
  if (isTls && (security.pin !== null || !['', security.serverName].includes(transport.host))) return null
  const host = isTls ? security.serverName : transport.host
  return [
    'v2ray-plugin',
    'mode=websocket',
    ...(host === '' ? [] : [`host=${host}`]),
    `path=${transport.path.replace(/[\\=,]/g, '\\$&')}`,
    ...(isTls ? ['tls'] : []),
    // Xray does not know its way to carry several connections in one.
    'mux=0',
  ].join(';')
}

/** Hysteria 2 by its own URI scheme. */
export function hysteriaParameters({
  stream: { transport, security },
  linkSecrets,
}: LinkedInbound): Parameters {
  if (security.type !== 'tls') fail('BAD_INPUT', { field: 'stream', reason: 'Hysteria 2 needs TLS' })
  const obfuscated = transport.type === 'hysteria' && transport.obfuscated
  return {
    security: 'tls',
    sni: security.serverName,
    alpn: 'h3',
    // There the pin is held against the certificate beside an authority's word, unless that is given up.
    ...(security.pin === null ? {} : { insecure: '1', pinSHA256: security.pin }),
    ...(obfuscated ? { obfs: 'salamander', 'obfs-password': linkSecrets.obfuscation ?? '' } : {}),
  }
}
