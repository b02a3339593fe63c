import { X509Certificate } from 'node:crypto'
import type {
  GivenProtocolSettings,
  InboundStream,
  ProtocolSettings,
  StreamInput,
} from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import type { InboundSecrets } from '#src/xray/config/model.ts'
import { completeSecrets, linkSecretsOf, wireguardKeys } from '#src/xray/config/secrets.ts'
import { makeRealityKeys } from '#src/xray/config/x25519.ts'
import { makeKey, makeSelfSigned } from './certificates/making.ts'
import type { InboundRecord } from './rows/records.ts'

/** Links pin it, so it must last: a new one is a new link for everybody. */
const OWN_CERTIFICATE_DAYS = 3_650

export type PrepareInbound = (
  asked: GivenProtocolSettings & { stream: StreamInput },
  before?: InboundRecord,
) => Promise<ProtocolSettings & Pick<InboundRecord, 'stream' | 'secrets' | 'linkSecrets'>>

/**
 * What an inbound is to be, completed by what only its server makes: keys, certificates, and what follows from them.
 * Each is made once: a change of other settings keeps every link alive.
 * @param pinOf what links must pin to trust a certificate this server holds; null: nothing; undefined: it holds none
 */
export function createPrepareInbound(
  runtime: Pick<Runtime, 'now' | 'randomBytes'>,
  pinOf: (domain: string) => string | null | undefined,
): PrepareInbound {
  /** @returns the fields that are shown, and the keys that are not */
  async function secured(
    security: StreamInput['security'],
    before: InboundRecord | undefined,
  ): Promise<{ security: InboundStream['security']; secrets: InboundSecrets }> {
    const old = before?.stream.security
    const known = before?.secrets ?? {}
    switch (security.type) {
      case 'none':
        return { security, secrets: {} }
      case 'reality': {
        const keys =
          old?.type === 'reality' && known.privateKey !== undefined
            ? { publicKey: old.publicKey, privateKey: known.privateKey }
            : makeRealityKeys(runtime)
        const { publicKey, privateKey } = keys
        return { security: { ...security, publicKey }, secrets: { privateKey } }
      }
      case 'tls': {
        if (security.certificate.source === 'store') {
          const { domain } = security.certificate
          const pin = pinOf(domain)
          if (pin === undefined) {
            fail('CERTIFICATE_NOT_FOUND', { domain })
          }
          return { security: { ...security, pin }, secrets: {} }
        }
        const { certificate, certificateKey } = known
        const stays =
          old?.type === 'tls' && old.certificate.source === 'own' && old.serverName === security.serverName
        if (stays && certificate !== undefined && certificateKey !== undefined) {
          return { security: { ...security, pin: old.pin }, secrets: { certificate, certificateKey } }
        }
        const key = await makeKey()
        const request = { domain: security.serverName, days: OWN_CERTIFICATE_DAYS, key }
        const made = await makeSelfSigned(request, runtime)
        const pin = new X509Certificate(made).fingerprint256.replaceAll(':', '').toLowerCase()
        return { security: { ...security, pin }, secrets: { certificate: made, certificateKey: key } }
      }
    }
  }

  return async (asked, before) => {
    const { transport } = asked.stream
    const { security, secrets: tlsSecrets } = await secured(asked.stream.security, before)
    const stream: InboundStream = { transport, security }
    const known = before?.secrets ?? {}
    let kind: ProtocolSettings
    let own: InboundSecrets = {}
    if (asked.protocol === 'wireguard') {
      const { wireguardKey, publicKey } = wireguardKeys(known, runtime)
      own = { wireguardKey }
      kind = { protocol: 'wireguard', settings: { ...asked.settings, publicKey } }
    } else {
      const { stream: _, ...given } = asked
      kind = given
    }
    const { shadowsocksKey, obfuscation, guard } = known
    const kept = Object.fromEntries(
      Object.entries({ shadowsocksKey, obfuscation, guard }).filter(([, value]) => value !== undefined),
    ) as InboundSecrets
    const secrets = completeSecrets({ ...kind, stream }, { ...kept, ...own, ...tlsSecrets }, runtime)
    return { ...kind, stream, secrets, linkSecrets: linkSecretsOf(secrets) }
  }
}
