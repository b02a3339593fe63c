import { isIPv6 } from 'node:net'
import type { InboundStream } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { flowIn } from './flow.ts'
import type { XrayUser } from './model.ts'

export interface LinkSource {
  inbound: { tag: string; remark: string; port: number; stream: InboundStream }
  client: XrayUser
  /** Where people reach the server: a name or an IP address. */
  host: string
  /** What the app shows; `<remark or tag>-<client>` unless told. */
  name?: string
}

/**
 * The link an app is set up with, `vless://uuid@host:port?…#name`. The parameters are those of the share-link
 * convention that Xray's apps read (XTLS/Xray-core discussion 716), in which the raw transport is still called tcp.
 * It is a credential: never log it.
 */
export function shareLink({ inbound, client, host, name }: LinkSource): string {
  const flow = flowIn(client.flow, inbound.stream)
  const query = Object.entries({
    type: 'tcp',
    encryption: 'none',
    ...securityParameters(inbound.stream),
    ...(flow === '' ? {} : { flow }),
  })
  const parameters = query.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&')
  const label = name ?? `${inbound.remark === '' ? inbound.tag : inbound.remark}-${client.email}`
  return `vless://${client.uuid}@${bracketed(host)}:${inbound.port}?${parameters}#${encodeURIComponent(label)}`
}

function securityParameters({ security }: InboundStream): Record<string, string> {
  if (security.type === 'none') return { security: 'none' }
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

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host
}
