import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { Runtime } from '#src/runtime.ts'

/** ECDSA on P-256 with SHA-256: what every TLS stack speaks, with small certificates. */
export const signatureAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/**
 * The library that makes certificates. Loaded when one is made and not before: an agent makes one request in its
 * life, and would otherwise carry the library in memory for ever.
 */
export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  const { x509 } = await import('./x509-library.ts')
  return x509
}

/** 128 random bits, positive and with no leading zero, as DER wants an integer. */
export function randomSerial(runtime: Pick<Runtime, 'randomBytes'>): string {
  const serial = runtime.randomBytes(16)
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0)
  return serial.toString('hex')
}

/** The two halves of a P-256 key for the library. @param key the private one, PEM */
export async function webKeys(key: string) {
  const privateKey = createPrivateKey(key)
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  return {
    privateKey: await crypto.subtle.importKey('pkcs8', pkcs8, signatureAlgorithm, false, ['sign']),
    publicKey: await crypto.subtle.importKey('spki', spki, signatureAlgorithm, true, ['verify']),
  }
}
