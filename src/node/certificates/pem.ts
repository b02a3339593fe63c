/** Reads chains and keys as people and certificate authorities hand them over, and says what is wrong with them. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { fail } from '#src/errors.ts'
import { spkiHash } from '#src/trust/peer.ts'

/** A chain that has been looked at. */
export interface ReadChain {
  /** PEM, nothing but the certificates, in order. */
  chain: string
  issuer: string
  /** ms */
  notBefore: number
  notAfter: number
  /** SHA-256 of the first certificate (DER), hexadecimal. */
  sha256: string
}

/** A real chain has two to four; more would only be sent to every client in every handshake. */
const MAX_CERTIFICATES = 10
/** What clients still accept. */
const MIN_RSA_BITS = 2048
/** Curves that TLS stacks and Xray's clients know. */
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1']

/**
 * A chain and its key as they are held: both clean PEM, the key as PKCS #8.
 * @param now ms
 * @throws FleetError BAD_INPUT naming `certificate` or `key` and what is wrong
 */
export function readPair(
  given: { domain: string; certificate: string; key: string },
  now: number,
): ReadChain & { key: string } {
  const key = readKey(given.key)
  const certificates = readCertificates(given.certificate)
  const [leaf] = certificates
  if (leaf === undefined) return bad('certificate', 'there is no certificate in it')
  if (!leaf.checkPrivateKey(key))
    bad('key', 'it belongs to another certificate; is the certificate the first of its file?')
  if (!isFor(leaf, given.domain)) {
    bad('certificate', `it is not for ${given.domain} but for ${namesOf(leaf)}`)
  }
  checkOrder(certificates)
  const read = describe(certificates)
  if (read.notAfter <= now) bad('certificate', `it ended on ${dayOf(read.notAfter)}`)
  if (read.notBefore > now) bad('certificate', `it is not valid before ${dayOf(read.notBefore)}`)
  return { ...read, key: key.export({ type: 'pkcs8', format: 'pem' }) as string }
}

/** Whether two chains begin with certificates of one key. */
export function haveSameKey(chain: string, other: string): boolean {
  return spkiHash(new X509Certificate(chain)) === spkiHash(new X509Certificate(other))
}

function readKey(text: string): KeyObject {
  const block = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----(?:(?!-----)[^])*-----END \1-----/.exec(text)?.[0]
  if (block === undefined) return bad('key', 'there is no private key in it')
  if (block.includes('ENCRYPTED')) return bad('key', 'it is protected by a passphrase: take that off first')
  let key: KeyObject
  try {
    key = createPrivateKey(block)
    // Some damage shows only here.
    createPublicKey(key)
  } catch {
    return bad('key', 'it cannot be read')
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  const isKnown =
    type === 'ed25519' ||
    (type === 'rsa' && (details?.modulusLength ?? 0) >= MIN_RSA_BITS) ||
    (type === 'ec' && CURVES.includes(details?.namedCurve ?? ''))
  return isKnown ? key : bad('key', `RSA from ${MIN_RSA_BITS} bits, P-256, P-384, P-521 or Ed25519 is wanted`)
}

function readCertificates(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  if (blocks.length > MAX_CERTIFICATES) bad('certificate', `more than ${MAX_CERTIFICATES} are in it`)
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block)
    } catch {
      return bad('certificate', `number ${index + 1} in it cannot be read`)
    }
  })
}

/** As clients look at it: a name with a * for its first part counts. */
function isFor(leaf: X509Certificate, domain: string): boolean {
  if (isIP(domain) !== 0) return leaf.checkIP(domain) !== undefined
  return leaf.checkHost(domain, { subject: 'never', partialWildcards: false }) !== undefined
}

function namesOf(leaf: X509Certificate): string {
  return (leaf.subjectAltName ?? 'nothing').replace(/(?:DNS|IP Address):/g, '').slice(0, 200)
}

function checkOrder(certificates: readonly X509Certificate[]): void {
  for (const [index, issuer] of certificates.entries()) {
    const issued = certificates[index - 1]
    if (issued === undefined || (issued.checkIssued(issuer) && issued.verify(issuer.publicKey))) continue
    bad(
      'certificate',
      `number ${index + 1} in it did not sign number ${index}: put each after the one it signed`,
    )
  }
}

function describe(certificates: readonly X509Certificate[]): ReadChain {
  const [leaf] = certificates
  if (leaf === undefined) return bad('certificate', 'there is no certificate in it')
  return {
    chain: certificates.map((certificate) => `${certificate.toString().trim()}\n`).join(''),
    issuer: nameOf(leaf.issuer),
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
    sha256: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

/** `O=Let's Encrypt` and `CN=R11`, one to a line, as `Let's Encrypt R11`. */
function nameOf(issuer: string): string {
  const part = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(issuer)?.[1]
  const known = [part('O'), part('CN')].filter((text) => text !== undefined && text !== '')
  // Whoever made the certificate wrote this.
  return ([...new Set(known)].join(' ') || 'unnamed').replace(/\p{C}/gu, ' ').slice(0, 200)
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

function bad(field: 'certificate' | 'key', reason: string): never {
  return fail('BAD_INPUT', { field, reason })
}
