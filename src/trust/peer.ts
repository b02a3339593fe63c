import { createHash, X509Certificate } from 'node:crypto'

/** The identity the CA writes into an agent's certificate, as a URI subject alternative name. */
export function serverUri(serverId: number): string {
  return `fleetgram://server/${serverId}`
}

/** The identity in the controller's own certificate. */
export const controllerUri = 'fleetgram://controller'

/**
 * SHA-256 of a certificate's SubjectPublicKeyInfo, base64url, as RFC 7469 pins keys: it stays the same when a
 * certificate is issued anew for the same key.
 */
export function spkiHash(certificate: X509Certificate): string {
  return hashSpki(certificate.publicKey.export({ type: 'spki', format: 'der' }))
}

/** @param spki SubjectPublicKeyInfo in DER */
export function hashSpki(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('base64url')
}

/** The subject alternative names, as Node writes them: 'URI:…', 'DNS:…', 'IP Address:…'. */
function alternativeNames(certificate: X509Certificate): string[] {
  // Node quotes a name that contains a comma, so this cannot split one into two.
  return certificate.subjectAltName?.split(', ') ?? []
}

export function isController(certificate: X509Certificate): boolean {
  return alternativeNames(certificate).includes(`URI:${controllerUri}`)
}

/**
 * Why the holder of a certificate is not this server; undefined when it is. That the certificate comes from the
 * fleet's CA is checked before, by TLS itself.
 * @param raw the certificate in DER
 */
export function identityProblem(
  raw: Buffer,
  serverId: number,
  isAllowed: (spkiHash: string, serverId: number) => boolean,
): string | undefined {
  const certificate = new X509Certificate(raw)
  const names = alternativeNames(certificate)
  // Exactly one name: a certificate that speaks for two servers was not written by our CA.
  if (names.length !== 1 || names[0] !== `URI:${serverUri(serverId)}`) {
    const other = /^URI:fleetgram:\/\/server\/(\d{1,15})$/.exec(names[0] ?? '')
    return other === null ? 'its certificate is not that of a server' : `it is server ${other[1]}`
  }
  if (!isAllowed(spkiHash(certificate), serverId)) return 'its certificate was revoked'
  return undefined
}
