import type { KeyObject } from 'node:crypto'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { systemRuntime } from '#src/runtime.ts'

/** An x25519 key pair as Xray writes it: base64url without padding. */
export interface RealityKeys {
  privateKey: string
  publicKey: string
}

// What stands before the 32 bytes of an x25519 private key in its PKCS #8 form (RFC 8410, section 7).
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** A new key pair for REALITY. */
export function makeRealityKeys(runtime: Pick<Runtime, 'randomBytes'> = systemRuntime()): RealityKeys {
  const key = runtime.randomBytes(32)
  // The bits x25519 itself sets (RFC 7748, section 5), so that every program shows the same private key.
  key[0] = (key[0] ?? 0) & 248
  key[31] = ((key[31] ?? 0) & 127) | 64
  const privateKey = key.toString('base64url')
  return { privateKey, publicKey: publicKeyOf(privateKey) }
}

/** The public key that goes into links. @throws BAD_INPUT for something that is no x25519 private key */
export function publicKeyOf(privateKey: string): string {
  const raw = Buffer.from(privateKey, 'base64url')
  if (raw.length !== 32) fail('BAD_INPUT', { field: 'privateKey', reason: 'not 32 bytes of base64url' })
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, raw]), format: 'der', type: 'pkcs8' })
  return rawPublicKey(createPublicKey(key))
}

function rawPublicKey(key: KeyObject): string {
  return key.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64url')
}
