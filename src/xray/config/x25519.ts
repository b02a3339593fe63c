import type { KeyObject } from 'node:crypto'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { systemRuntime } from '#src/runtime.ts'

/** An x25519 key pair as Xray writes it for REALITY: base64url without padding. */
export interface RealityKeys {
  privateKey: string
  publicKey: string
}

// What stands before the 32 bytes of an x25519 private key in its PKCS #8 form (RFC 8410, section 7).
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** Sets the bits that x25519 itself sets (RFC 7748, section 5), so that every program shows the same private key. */
export function clampX25519(key: Buffer): Buffer {
  const clamped = Buffer.from(key)
  clamped[0] = (clamped[0] ?? 0) & 248
  clamped[31] = ((clamped[31] ?? 0) & 127) | 64
  return clamped
}

/** A new private key, 32 bytes. */
export function makeX25519Key(runtime: Pick<Runtime, 'randomBytes'>): Buffer {
  return clampX25519(runtime.randomBytes(32))
}

/** The public key of a private one, both as 32 bytes. */
export function publicKeyBytes(privateKey: Buffer): Buffer {
  const der = Buffer.concat([pkcs8Prefix, privateKey])
  return rawPublicKey(createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })))
}

/** A new key pair for REALITY. */
export function makeRealityKeys(runtime: Pick<Runtime, 'randomBytes'> = systemRuntime()): RealityKeys {
  const privateKey = makeX25519Key(runtime).toString('base64url')
  return { privateKey, publicKey: publicKeyOf(privateKey) }
}

/** The public key that goes into links. @throws BAD_INPUT for something that is no x25519 private key */
export function publicKeyOf(privateKey: string): string {
  const raw = Buffer.from(privateKey, 'base64url')
  if (raw.length !== 32) fail('BAD_INPUT', { field: 'privateKey', reason: 'not 32 bytes of base64url' })
  return publicKeyBytes(raw).toString('base64url')
}

function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(-32)
}
