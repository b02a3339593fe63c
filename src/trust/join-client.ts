import { createPublicKey, X509Certificate } from 'node:crypto'
import { request as httpsRequest } from 'node:https'
import { connect, type DetailedPeerCertificate } from 'node:tls'
import type { z } from 'zod'
import { type ErrorDetails, FleetError, fail, isErrorCode } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { type Address, formatAddress } from './address.ts'
import { type AgentIdentity, loadOrCreateAgentKey, writeIdentity } from './agent-identity.ts'
import { joinAnswer, joinRefusal } from './join-protocol.ts'
import { parseJoinToken } from './join-tokens.ts'
import { networkWords } from './network-words.ts'
import { hashSpki, isController, serverUri, spkiHash } from './peer.ts'
import { loadX509, signatureAlgorithm, webKeys } from './x509.ts'

/** For connecting and for the answer, each: a controller on a slow line is still given its time. */
const TIMEOUT_MS = 20_000
/** Two certificates and a number; more is not an answer. */
const MAX_ANSWER_BYTES = 64 * 1024

/**
 * Joins a controller: finds out that it is the one the token was made by, makes key and certificate request here, and
 * trades the token for a certificate. Keeps everything in `folder`. Can be repeated with the same token when the answer
 * was lost, and with a new one when the certificate is to be a new one.
 * @throws FleetError ALREADY_JOINED, IDENTITY_BROKEN, JOIN_TOKEN_INVALID, JOIN_PIN_MISMATCH (nothing was sent), CONTROLLER_UNREACHABLE, CLOCK_SKEW, and
 *   what the controller refuses with: JOIN_TOKEN_WRONG, JOIN_TOKEN_USED, JOIN_TOKEN_EXPIRED, JOIN_KEY_REFUSED, RATE_LIMITED
 */
export async function joinController(options: {
  token: string
  /** The agent's data folder. */
  folder: string
  /** The port the agent will listen on. */
  port: number
  /** Where the controller can reach it, if not where the request comes from. */
  publicAddress?: string | undefined
  /** Who this machine is already: it may get a new certificate, but not become another server. */
  present?: AgentIdentity | undefined
  runtime: Pick<Runtime, 'now'>
}): Promise<Omit<AgentIdentity, 'keyPem'>> {
  const { folder, port, publicAddress, present, runtime } = options
  const refuse = (server: number, reason: string): never => fail('ALREADY_JOINED', { server, reason, folder })
  const token = parseJoinToken(options.token)
  if (present !== undefined && spkiHash(new X509Certificate(present.caPem)) !== token.pin)
    refuse(present.serverId, 'it comes from another controller')
  const caPem = await findPinnedCa(token.controller, token.pin)
  const keyPem = loadOrCreateAgentKey(folder)
  const { id, secret } = token
  const csr = await createRequest(keyPem)
  const body = { id, secret, csr, port, publicAddress, as: present?.serverId }
  const answer = await post(token.controller, caPem, JSON.stringify(body), runtime).catch(
    (error: unknown) => {
      if (present !== undefined && error instanceof FleetError && error.code === 'JOIN_KEY_REFUSED')
        return refuse(
          present.serverId,
          `the controller refuses the machine's key, as ${String(error.details['reason'])}`,
        )
      throw error
    },
  )
  if (present !== undefined && answer.serverId !== present.serverId)
    refuse(present.serverId, `it is for server ${answer.serverId}`)
  const notAfter = checkAnswer(answer, keyPem, caPem, runtime.now())
  const { serverId, address } = answer
  const identity = { serverId, address, certificatePem: answer.certificate, caPem }
  writeIdentity(folder, identity)
  return { ...identity, notAfter }
}

/**
 * Looks at the certificates shown at an address and returns the one the pin names. Nothing is sent, and nothing else
 * is believed: the connection that follows is verified in full, with this certificate as its only anchor.
 */
function findPinnedCa(address: Address, pin: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address.host,
      port: address.port,
      minVersion: 'TLSv1.3',
      // There is no anchor yet; the pin decides below.
      rejectUnauthorized: false,
      timeout: TIMEOUT_MS,
    })
    socket.once('secureConnect', () => {
      const certificate = certificatesOf(socket.getPeerCertificate(true)).find(
        (shown) => shown.ca && hashSpki(shown.publicKey.export({ type: 'spki', format: 'der' })) === pin,
      )
      socket.destroy()
      if (certificate === undefined) {
        reject(pinMismatch(address))
      } else resolve(certificate.toString())
    })
    socket.once('timeout', () => socket.destroy(new Error('it did not answer in time')))
    socket.once('error', (error) => reject(unreachable(address, error)))
  })
}

function certificatesOf(leaf: DetailedPeerCertificate): X509Certificate[] {
  const found: X509Certificate[] = []
  const seen = new Set<DetailedPeerCertificate>()
  for (let at = leaf; at?.raw !== undefined && !seen.has(at); at = at.issuerCertificate) {
    seen.add(at)
    found.push(new X509Certificate(at.raw))
  }
  return found
}

async function createRequest(keyPem: string): Promise<string> {
  const x509 = await loadX509()
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: await webKeys(keyPem),
    signingAlgorithm: signatureAlgorithm,
  })
  return request.toString('pem')
}

type Answer = z.output<typeof joinAnswer>

function post(address: Address, caPem: string, body: string, runtime: Pick<Runtime, 'now'>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: address.host,
        port: address.port,
        path: '/join',
        method: 'POST',
        agent: false,
        minVersion: 'TLSv1.3',
        ca: [caPem],
        // The name in the address proves nothing; the identity that the pinned CA wrote does.
        checkServerIdentity: (_host, peer) =>
          isController(new X509Certificate(peer.raw)) ? undefined : pinMismatch(address),
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        timeout: TIMEOUT_MS,
      },
      (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > MAX_ANSWER_BYTES) request.destroy(new Error('its answer is too long'))
          else chunks.push(chunk)
        })
        response.once('error', (error) => reject(unreachable(address, error)))
        response.once('end', () => {
          try {
            resolve(readAnswer(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8')))
          } catch (error) {
            reject(unreachable(address, error))
          }
        })
      },
    )
    request.once('timeout', () => request.destroy(new Error('it did not answer in time')))
    request.once('error', (error) => {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED') reject(clockSkew(runtime.now()))
      // The pinned certificate was shown, which anyone can do, but its key was not there.
      else if (code !== undefined && chainErrors.test(code)) reject(pinMismatch(address))
      else reject(unreachable(address, error))
    })
    request.end(body)
  })
}

function readAnswer(status: number, text: string): Answer {
  const json: unknown = JSON.parse(text)
  if (status === 200) return joinAnswer.parse(json)
  const refusal = joinRefusal.parse(json)
  if (isErrorCode(refusal.code)) fail(refusal.code, refusal.details as ErrorDetails)
  throw new Error(refusal.message.slice(0, 300))
}

/** The certificate must be for our own key, from the pinned CA, for the server it says, and valid by our clock. */
function checkAnswer(answer: Answer, keyPem: string, caPem: string, now: number): number {
  const certificate = new X509Certificate(answer.certificate)
  const ours = hashSpki(createPublicKey(keyPem).export({ type: 'spki', format: 'der' }))
  if (
    spkiHash(certificate) !== ours ||
    !certificate.verify(new X509Certificate(caPem).publicKey) ||
    certificate.subjectAltName !== `URI:${serverUri(answer.serverId)}`
  ) {
    fail('SERVER_ANSWER_UNREADABLE', { reason: 'the certificate is not the one that was asked for' })
  }
  const notAfter = Date.parse(certificate.validTo)
  if (now < Date.parse(certificate.validFrom) || now > notAfter) throw clockSkew(now)
  return notAfter
}

/** OpenSSL's names for a chain that does not end at the pinned certificate. */
const chainErrors = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_SIGNATURE_FAILURE|CERT_UNTRUSTED|INVALID_)/

function pinMismatch(address: Address): FleetError {
  return new FleetError('JOIN_PIN_MISMATCH', { address: formatAddress(address) })
}

function clockSkew(now: number): FleetError {
  return new FleetError('CLOCK_SKEW', { here: new Date(now).toISOString() })
}

function unreachable(address: Address, error: unknown): FleetError {
  if (error instanceof FleetError) return error
  const { code, message } = error as NodeJS.ErrnoException
  // OpenSSL's own words for a handshake that failed help nobody.
  const isTls = /^(?:ERR_SSL_|EPROTO)/.test(code ?? '')
  const reason = isTls ? 'what answers there does not speak TLS 1.3' : (networkWords[code ?? ''] ?? message)
  return new FleetError(
    'CONTROLLER_UNREACHABLE',
    { address: formatAddress(address), reason },
    { cause: error },
  )
}
