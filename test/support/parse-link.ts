/**
 * Reads a vless:// link the way a phone app does and makes an Xray outbound of it. Deliberately knows nothing of the
 * code that writes links: a link proves itself only to a reader of its own.
 */
export function outboundOf(link: string): Record<string, unknown> {
  const parts = /^vless:\/\/([0-9a-f-]{36})@(\[[0-9a-fA-F:]+\]|[^:/?#[\]]+):(\d+)\?([^#]*)#(.+)$/.exec(link)
  if (parts === null) throw new Error('not a vless link')
  const [, id, host = '', port, query] = parts
  const parameters = new URLSearchParams(query)
  const need = (name: string): string => {
    const value = parameters.get(name)
    if (value === null) throw new Error(`the link has no ${name}`)
    return value
  }
  if (need('type') !== 'tcp') throw new Error(`unknown type ${need('type')}`)
  if (need('encryption') !== 'none') throw new Error(`unknown encryption ${need('encryption')}`)
  const flow = parameters.get('flow')
  return {
    protocol: 'vless',
    settings: {
      vnext: [
        {
          address: host.replace(/^\[|\]$/g, ''),
          port: Number(port),
          users: [{ id, encryption: 'none', ...(flow === null ? {} : { flow }) }],
        },
      ],
    },
    streamSettings: { network: 'tcp', ...securityOf(need) },
  }
}

/** The name an app would show for a link. */
export function labelOf(link: string): string {
  return decodeURIComponent(link.slice(link.indexOf('#') + 1))
}

function securityOf(need: (name: string) => string): Record<string, unknown> {
  switch (need('security')) {
    case 'none':
      return { security: 'none' }
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
