import { type webcrypto, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { X509CertificateGenerator } from '@peculiar/x509'
import { fail } from '#src/errors.ts'
import { DAY_MS, type Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { controllerUri, serverUri, spkiHash } from './peer.ts'
import type { SecretBox } from './secret-box.ts'
import { loadX509, randomSerial, signatureAlgorithm } from './x509.ts'

/** An agent is trusted for as long as the CA; changing it is a planned act. */
const CA_LIFE_MS = 10 * 365 * DAY_MS
/** Long enough for a controller to be away for a week, short enough that a stolen key does not last. */
const LEAF_LIFE_MS = 14 * DAY_MS
/** A server's, until agents renew theirs by themselves: one that ran out would have to be joined anew by hand. */
export const SERVER_LEAF_LIFE_MS = 365 * DAY_MS
/** Clocks of small servers are off by this much without anyone noticing. */
const BACKDATE_MS = 5 * 60 * 1000

/** A certificate the CA has issued. */
export interface Leaf {
  certificatePem: string
  /** SHA-256 of its public key, base64url. */
  spkiHash: string
  /** Hexadecimal. */
  serial: string
  /** ms */
  notBefore: number
  notAfter: number
}

/** The fleet's certificate authority. Its key stands sealed in the settings and never leaves this process. */
export interface Ca {
  certificatePem: string
  /** What join tokens pin: SHA-256 of the CA's public key, base64url. */
  spkiHash: string
  /**
   * A certificate for the key of a request. Who it speaks for is written here; what the request says of itself is not
   * read.
   * @throws FleetError BAD_INPUT when the request is broken, not signed by its own key, or not for a P-256 key
   */
  issueServerLeaf(csrPem: string, serverId: number): Promise<Leaf>
  /** The controller's own certificate with a fresh key, both PEM; `hosts` are names and addresses it answers at. */
  issueControllerLeaf(hosts: readonly string[]): Promise<Leaf & { keyPem: string }>
}

const KEY_PLACE = 'settings:ca:key'

/** Reads the CA from the settings; makes it on the first start. */
export async function loadOrCreateCa(options: {
  db: Sqlite
  box: SecretBox
  runtime: Pick<Runtime, 'now' | 'randomBytes'>
}): Promise<Ca> {
  const { db, box, runtime } = options
  const read = db.prepare("select value from settings where key = 'ca'")
  if (read.get() === undefined) {
    const made = await createRoot(runtime)
    const value = { certificate: made.certificatePem, key: box.seal(made.keyPem, KEY_PLACE) }
    // Another process may have been first; then its CA is the fleet's.
    db.prepare("insert into settings (key, value) values ('ca', ?) on conflict (key) do nothing").run(
      JSON.stringify(value),
    )
  }
  const { value } = read.get() as { value: string }
  const stored = JSON.parse(value) as { certificate: string; key: string }
  return openCa(stored.certificate, box.open(stored.key, KEY_PLACE), runtime)
}

async function createRoot(
  runtime: Pick<Runtime, 'now' | 'randomBytes'>,
): Promise<{ certificatePem: string; keyPem: string }> {
  const x509 = await loadX509()
  const keys = await crypto.subtle.generateKey(signatureAlgorithm, true, ['sign', 'verify'])
  const now = runtime.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(runtime),
    name: 'CN=fleetgram CA',
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_LIFE_MS),
    keys,
    signingAlgorithm: signatureAlgorithm,
    extensions: [
      // No certificate authority below this one.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    certificatePem: `${certificate.toString('pem').trimEnd()}\n`,
    keyPem: await exportKey(keys.privateKey),
  }
}

async function openCa(
  certificatePem: string,
  keyPem: string,
  runtime: Pick<Runtime, 'now' | 'randomBytes'>,
): Promise<Ca> {
  const x509 = await loadX509()
  const root = new x509.X509Certificate(certificatePem)
  const der = x509.PemConverter.decodeFirst(keyPem)
  const signingKey = await crypto.subtle.importKey('pkcs8', der, signatureAlgorithm, false, ['sign'])

  type CreateParams = Parameters<typeof X509CertificateGenerator.create>[0]
  async function issue(
    publicKey: CreateParams['publicKey'],
    name: string,
    names: LeafName[],
    life: number,
  ): Promise<Leaf> {
    const now = runtime.now()
    const notBefore = now - BACKDATE_MS
    const notAfter = now + life
    const serial = randomSerial(runtime)
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial,
      subject: [{ CN: [name] }],
      issuer: root.subject,
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      publicKey,
      signingKey,
      signingAlgorithm: signatureAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        // Both ways: whoever dials, both sides show a certificate.
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension(names),
        await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
      ],
    })
    // With the line's end, so that certificates can be put one after the other.
    const pem = `${certificate.toString('pem').trimEnd()}\n`
    return { certificatePem: pem, spkiHash: spkiHash(new X509Certificate(pem)), serial, notBefore, notAfter }
  }

  return {
    certificatePem,
    spkiHash: spkiHash(new X509Certificate(certificatePem)),
    async issueServerLeaf(csrPem, serverId) {
      const request = await readRequest(csrPem)
      const names: LeafName[] = [{ type: 'url', value: serverUri(serverId) }]
      return issue(request.publicKey, `server ${serverId}`, names, SERVER_LEAF_LIFE_MS)
    },
    async issueControllerLeaf(hosts) {
      const keys = await crypto.subtle.generateKey(signatureAlgorithm, true, ['sign', 'verify'])
      const names: LeafName[] = [
        { type: 'url', value: controllerUri },
        ...hosts.map((host): LeafName => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
      ]
      const leaf = await issue(keys.publicKey, 'fleetgram controller', names, LEAF_LIFE_MS)
      return { ...leaf, keyPem: await exportKey(keys.privateKey) }
    },
  }
}

interface LeafName {
  type: 'url' | 'dns' | 'ip'
  value: string
}

async function readRequest(
  csrPem: string,
): Promise<InstanceType<Awaited<ReturnType<typeof loadX509>>['Pkcs10CertificateRequest']>> {
  const x509 = await loadX509()
  let reason: string
  try {
    const request = new x509.Pkcs10CertificateRequest(csrPem)
    const { name, namedCurve } = request.publicKey.algorithm as { name?: string; namedCurve?: string }
    if (name !== 'ECDSA' || namedCurve !== 'P-256') reason = 'a P-256 key is wanted'
    else if (await request.verify()) return request
    else reason = 'it is not signed by its own key'
  } catch {
    reason = 'not a certificate request'
  }
  return fail('BAD_INPUT', { field: 'csr', reason })
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const x509 = await loadX509()
  return x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}
