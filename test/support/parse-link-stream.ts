/** How the stream of a link is carried and secured, read by the convention of XTLS/Xray-core discussion 716. */

export interface Outbound {
  protocol: string
  settings: Record<string, unknown>
  streamSettings?: Record<string, unknown>
}

/** The parameters of a link, decoded. */
export interface Read {
  find: (name: string) => string | undefined
  need: (name: string) => string
}

export function transportOf({ find, need }: Read): Record<string, unknown> {
  const host = find('host')
  const type = need('type')
  switch (type) {
    case 'tcp': {
      const headerType = find('headerType') ?? 'none'
      if (headerType === 'none') return { network: 'tcp' }
      if (headerType !== 'http') throw new Error(`unknown header ${headerType}`)
      const request = { path: [need('path')], headers: host === undefined ? {} : { Host: [host] } }
      return { network: 'tcp', tcpSettings: { header: { type: 'http', request } } }
    }
    case 'ws':
      return { network: 'ws', wsSettings: at(need('path'), host) }
    case 'httpupgrade':
      return { network: 'httpupgrade', httpupgradeSettings: at(need('path'), host) }
    case 'grpc': {
      const mode = find('mode') ?? 'gun'
      if (mode !== 'gun' && mode !== 'multi') throw new Error(`unknown mode ${mode}`)
      const authority = find('authority')
      return {
        network: 'grpc',
        grpcSettings: {
          serviceName: need('serviceName'),
          multiMode: mode === 'multi',
          ...(authority === undefined ? {} : { authority }),
        },
      }
    }
    case 'xhttp':
      return { network: 'xhttp', xhttpSettings: { ...at(need('path'), host), mode: find('mode') ?? 'auto' } }
    case 'kcp': {
      if (need('headerType') !== 'none') throw new Error(`unknown header ${need('headerType')}`)
      // The seed of old, which Xray has had as a mask since 26.2.
      const mask = { type: 'mkcp-aes128gcm', settings: { password: need('seed') } }
      const mtu = find('mtu')
      return {
        network: 'kcp',
        kcpSettings: mtu === undefined ? {} : { mtu: Number(mtu) },
        finalmask: { udp: [mask] },
      }
    }
    default:
      throw new Error(`unknown type ${type}`)
  }
}

function at(path: string, host: string | undefined): Record<string, unknown> {
  return host === undefined ? { path } : { path, host }
}

export function securityOf({ find, need }: Read): Record<string, unknown> {
  switch (need('security')) {
    case 'none':
      return { security: 'none' }
    case 'tls': {
      const alpn = find('alpn')?.split(',')
      const pin = find('pcs')
      return {
        security: 'tls',
        tlsSettings: {
          serverName: need('sni'),
          fingerprint: need('fp'),
          ...(alpn === undefined ? {} : { alpn }),
          ...(pin === undefined ? {} : { pinnedPeerCertSha256: pin }),
        },
      }
    }
    case 'reality':
      return {
        security: 'reality',
        realitySettings: {
          serverName: need('sni'),
          fingerprint: need('fp'),
          publicKey: need('pbk'),
          shortId: need('sid'),
          spiderX: need('spx'),
        },
      }
    default:
      throw new Error(`unknown security ${need('security')}`)
  }
}
