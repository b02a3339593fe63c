/** Makes keys, and what is signed with them: certificate requests, self-signed certificates, answers to a challenge. */
import { createHash, generateKeyPair } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { Extension } from '@peculiar/x509'
import { DAY_MS, type Runtime } from '#src/runtime.ts'
import { loadX509, randomSerial, signatureAlgorithm, webKeys } from '#src/trust/x509.ts'

/** Clocks of small machines are off by this much without anyone noticing. */
const BACKDATE_MS = 5 * 60 * 1000
/** A common name must not be longer (RFC 5280, ub-common-name); the names that count stand elsewhere. */
const MAX_COMMON_NAME = 64
/** id-pe-acmeIdentifier, RFC 8737. */
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31'
/** DER: an octet string of 32 bytes. */
const OCTET_STRING_32 = [0x04, 0x20]

type Clock = Pick<Runtime, 'now' | 'randomBytes'>

/** A fresh P-256 key: PKCS #8, PEM. */
export async function makeKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

/**
 * A certificate that nobody but its own key vouches for. Clients have to pin it.
 * @param days how long it lasts
 * @param key PEM, P-256
 */
export async function makeSelfSigned(
  request: { domain: string; days: number; key: string },
  runtime: Clock,
): Promise<string> {
  const x509 = await loadX509()
  return selfSigned(request, request.days * DAY_MS, runtime, [
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
  ])
}

/** The certificate that answers a tls-alpn-01 challenge (RFC 8737), for as long as the challenge runs. */
export async function makeAlpnAnswer(
  request: { domain: string; key: string; keyAuthorization: string },
  runtime: Clock,
): Promise<string> {
  const x509 = await loadX509()
  const digest = createHash('sha256').update(request.keyAuthorization).digest()
  const value = Buffer.from([...OCTET_STRING_32, ...digest])
  return selfSigned(request, 60 * 60 * 1000, runtime, [new x509.Extension(ACME_IDENTIFIER, true, value)])
}

/** A certificate request (PKCS #10, DER) for a key (PEM, P-256) that is to speak for a domain. */
export async function makeRequest(request: { domain: string; key: string }): Promise<Buffer> {
  const x509 = await loadX509()
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    extensions: [new x509.SubjectAlternativeNameExtension([nameFor(request.domain)])],
    keys: await webKeys(request.key),
    signingAlgorithm: signatureAlgorithm,
  })
  return Buffer.from(made.rawData)
}

async function selfSigned(
  { domain, key }: { domain: string; key: string },
  lifeMs: number,
  runtime: Clock,
  extensions: Extension[],
): Promise<string> {
  const x509 = await loadX509()
  const now = runtime.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(runtime),
    ...(domain.length > MAX_COMMON_NAME ? {} : { name: [{ CN: [domain] }] }),
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + lifeMs),
    keys: await webKeys(key),
    signingAlgorithm: signatureAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      // Critical where it is the only name there is (RFC 5280).
      new x509.SubjectAlternativeNameExtension([nameFor(domain)], domain.length > MAX_COMMON_NAME),
      ...extensions,
    ],
  })
  return `${certificate.toString('pem').trim()}\n`
}

function nameFor(domain: string): { type: 'dns' | 'ip'; value: string } {
  return { type: isIP(domain) === 0 ? 'dns' : 'ip', value: domain }
}
