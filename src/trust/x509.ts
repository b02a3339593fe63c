import type { webcrypto } from 'node:crypto'
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

/** A private key as PEM, PKCS #8. */
export async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const x509 = await loadX509()
  return x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}
