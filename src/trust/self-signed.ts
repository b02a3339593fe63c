import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { Runtime } from '#src/runtime.ts'
import { exportKey, loadX509, randomSerial, signatureAlgorithm } from './x509.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** Clocks of phones are off by this much without anyone noticing. */
const BACKDATE_MS = DAY_MS

/**
 * A certificate that vouches for itself, for clients that are told its fingerprint.
 * @param name a DNS name or an IP address
 * @param days how long it lasts
 * @returns certificate and key as PEM, and the SHA-256 of the certificate (DER), hexadecimal
 */
export async function makeSelfSigned(
  name: string,
  days: number,
  runtime: Pick<Runtime, 'now' | 'randomBytes'>,
): Promise<{ certificate: string; key: string; sha256: string }> {
  const x509 = await loadX509()
  const keys = await crypto.subtle.generateKey(signatureAlgorithm, true, ['sign', 'verify'])
  const now = runtime.now()
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(runtime),
    // Only the alternative name counts; this one has a limit of 64 characters.
    name: [{ CN: [name.slice(0, 64)] }],
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + days * DAY_MS),
    keys,
    signingAlgorithm: signatureAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: isIP(name) === 0 ? 'dns' : 'ip', value: name }]),
    ],
  })
  const certificate = `${made.toString('pem').trimEnd()}\n`
  return {
    certificate,
    key: await exportKey(keys.privateKey),
    sha256: new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}
