import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { fail } from '#src/errors.ts'

/** Who an agent is, after it has joined. */
export interface AgentIdentity {
  /** The number the controller knows this machine by. */
  serverId: number
  /** The host the controller reached it at when it joined. */
  address: string
  certificatePem: string
  caPem: string
  keyPem: string
  /** ms; when the certificate expires. */
  notAfter: number
}

const storedIdentity = z.object({
  serverId: z.number().int().positive(),
  address: z.string(),
  certificate: z.string(),
  ca: z.string(),
})

function identityFiles(folder: string): { key: string; identity: string } {
  return { key: join(folder, 'agent.key'), identity: join(folder, 'identity.json') }
}

/**
 * The identity in the agent's data folder; undefined before it has joined.
 * @throws FleetError IDENTITY_BROKEN
 */
export function readIdentity(folder: string): AgentIdentity | undefined {
  const files = identityFiles(folder)
  if (!existsSync(files.identity)) return undefined
  try {
    const stored = storedIdentity.parse(JSON.parse(readFileSync(files.identity, 'utf8')))
    const keyPem = readFileSync(files.key, 'utf8')
    const certificate = new X509Certificate(stored.certificate)
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) throw new Error('its key is another one')
    return {
      serverId: stored.serverId,
      address: stored.address,
      certificatePem: stored.certificate,
      caPem: new X509Certificate(stored.ca).toString(),
      keyPem,
      notAfter: Date.parse(certificate.validTo),
    }
  } catch (cause) {
    return fail('IDENTITY_BROKEN', { folder }, { cause })
  }
}

/** Written last and at once: with this file there, the machine has joined. */
export function writeIdentity(folder: string, identity: Omit<AgentIdentity, 'keyPem' | 'notAfter'>): void {
  const text = JSON.stringify({
    serverId: identity.serverId,
    address: identity.address,
    certificate: identity.certificatePem,
    ca: identity.caPem,
  } satisfies z.output<typeof storedIdentity>)
  writeWhole(identityFiles(folder).identity, text)
}

/**
 * The agent's private key, PEM. Made here on the first attempt to join and kept for the next, so that an attempt
 * whose answer was lost can be repeated with the same token.
 * @throws FleetError IDENTITY_BROKEN
 */
export function loadOrCreateAgentKey(folder: string): string {
  const { key } = identityFiles(folder)
  if (!existsSync(key)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    writeWhole(key, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  }
  const pem = readFileSync(key, 'utf8')
  try {
    // Here rather than in the middle of a handshake.
    createPrivateKey(pem)
  } catch (cause) {
    fail('IDENTITY_BROKEN', { folder }, { cause })
  }
  return pem
}

/** Beside its place first, then moved there: a kill in between leaves the file as it was. */
function writeWhole(file: string, text: string): void {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  const handle = openSync(draft, 'wx', 0o600)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  try {
    renameSync(draft, file)
  } catch (error) {
    unlinkSync(draft)
    throw error
  }
}
