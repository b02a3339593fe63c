import type { InboundStream, ProtocolSettings } from '#src/contract/index.ts'
import type { Runtime } from '#src/runtime.ts'
import { shadowsocks2022KeySize } from './account.ts'
import type { InboundSecrets, LinkSecrets } from './model.ts'
import { makeX25519Key, publicKeyBytes } from './x25519.ts'

type Kind = ProtocolSettings & { stream: InboundStream }

/** Whether links of an inbound hold more than its settings and the client's own credentials. */
export function hasLinkSecrets(inbound: Kind): boolean {
  return isObfuscated(inbound.stream) || shadowsocks2022Size(inbound) !== null
}

export function linkSecretsOf({ shadowsocksKey, obfuscation }: InboundSecrets): LinkSecrets {
  return {
    ...(shadowsocksKey === undefined ? {} : { shadowsocksKey }),
    ...(obfuscation === undefined ? {} : { obfuscation }),
  }
}

function isObfuscated({ transport }: InboundStream): boolean {
  return transport.type === 'mkcp' || (transport.type === 'hysteria' && transport.obfuscated)
}

function shadowsocks2022Size(inbound: Kind): number | null {
  return inbound.protocol === 'shadowsocks' ? shadowsocks2022KeySize(inbound.settings.method) : null
}

// 192 bits, as text of 32 characters.
const passwordBytes = 24
const guardBytes = 32

/**
 * The keys an inbound needs beside those of its TLS or REALITY, each made once: kept where they are there already,
 * so that a change of other settings keeps every link alive.
 */
export function completeSecrets(
  inbound: Kind,
  known: InboundSecrets,
  runtime: Pick<Runtime, 'randomBytes'>,
): InboundSecrets {
  const secrets = { ...known }
  if (isObfuscated(inbound.stream)) {
    secrets.obfuscation ??= runtime.randomBytes(passwordBytes).toString('base64url')
  }
  const size = shadowsocks2022Size(inbound)
  if (size !== null) {
    const fits = Buffer.from(secrets.shadowsocksKey ?? '', 'base64').length === size
    if (!fits) secrets.shadowsocksKey = runtime.randomBytes(size).toString('base64')
  }
  if (size !== null || inbound.protocol === 'mixed') {
    secrets.guard ??= runtime.randomBytes(guardBytes).toString('base64url')
  }
  return secrets
}

/** A WireGuard server's key pair, base64: the one that is there, or a new one. */
export function wireguardKeys(
  known: InboundSecrets,
  runtime: Pick<Runtime, 'randomBytes'>,
): { wireguardKey: string; publicKey: string } {
  const key =
    known.wireguardKey === undefined ? makeX25519Key(runtime) : Buffer.from(known.wireguardKey, 'base64')
  return { wireguardKey: key.toString('base64'), publicKey: publicKeyBytes(key).toString('base64') }
}
