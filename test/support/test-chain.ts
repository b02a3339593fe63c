import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { loadX509, signatureAlgorithm } from '#src/trust/x509.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** A certificate with its key, PEM, and those that vouch for it, each after the one it signed. */
export interface TestChain {
  leaf: string
  key: string
  issuers: string[]
}

/** A certificate as an authority gives it: signed by one in between, which is signed by the root. */
export async function makeTestChain(options: {
  names: readonly { type: 'dns' | 'ip'; value: string }[]
  /** ms; from a day ago to 90 days ahead unless told. */
  notBefore?: number
  notAfter?: number
  /** PEM; P-256 unless told. */
  key?: string
}): Promise<TestChain> {
  const x509 = await loadX509()
  const life = {
    notBefore: new Date(options.notBefore ?? Date.now() - DAY_MS),
    notAfter: new Date(options.notAfter ?? Date.now() + 90 * DAY_MS),
  }
  const generate = () => crypto.subtle.generateKey(signatureAlgorithm, true, ['sign', 'verify'])
  const [rootKeys, middleKeys] = [await generate(), await generate()]
  const isCa = new x509.BasicConstraintsExtension(true, undefined, true)
  const signingAlgorithm = signatureAlgorithm
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...life,
    name: 'O=Test, CN=Root',
    serialNumber: '01',
    keys: rootKeys,
    signingAlgorithm,
    extensions: [isCa],
  })
  const middle = await x509.X509CertificateGenerator.create({
    ...life,
    subject: 'O=Test, CN=Middle',
    issuer: root.subject,
    serialNumber: '02',
    publicKey: middleKeys.publicKey,
    signingKey: rootKeys.privateKey,
    signingAlgorithm,
    extensions: [isCa],
  })
  const key = options.key ?? makeKeyPem('ec', { namedCurve: 'P-256' })
  const spki = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' })
  const leaf = await x509.X509CertificateGenerator.create({
    ...life,
    subject: '',
    issuer: middle.subject,
    serialNumber: '03',
    publicKey: new x509.PublicKey(spki),
    signingKey: middleKeys.privateKey,
    signingAlgorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([...options.names])],
  })
  return {
    leaf: `${leaf.toString('pem')}\n`,
    key,
    issuers: [middle, root].map((each) => `${each.toString('pem')}\n`),
  }
}

/** A fresh private key, PKCS #8, PEM. */
export function makeKeyPem(
  ...[type, options]: ['ec', { namedCurve: string }] | ['rsa', { modulusLength: number }]
): string {
  const { privateKey } =
    type === 'ec' ? generateKeyPairSync('ec', options) : generateKeyPairSync('rsa', options)
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}
