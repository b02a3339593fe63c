/** Signed requests to a certificate authority (RFC 8555 section 6): an account, nonces, and a second try where one was used up. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { type AcmeAnswer, type AcmeHttp, jsonIn } from './http.ts'
import { type Problem, isProblem, refusal, retryAfter } from './problem.ts'

/** An authority may refuse a nonce at any time, and gives a new one with that. */
const NONCE_TRIES = 10

export interface AcmeSession {
  /** The account's address. */
  account: string
  newOrder: string
  /** What a challenge's token becomes when this account answers it. */
  keyAuthorization(token: string): string
  /** POST with a payload; without one, POST-as-GET. @throws FleetError ACME_REFUSED, ACME_UNREACHABLE */
  post(url: string, payload?: object): Promise<AcmeAnswer>
}

interface Directory {
  newNonce: string
  newAccount: string
  newOrder: string
}

/**
 * Signs in, which makes an account on the first time, and agrees to the authority's terms.
 * @param key the account's: PEM, P-256
 * @throws FleetError ACME_REFUSED, ACME_UNREACHABLE
 */
export async function openSession(options: {
  http: AcmeHttp
  about: { domain: string; directory: string }
  key: string
  email: string | null
  runtime: Pick<Runtime, 'now'>
}): Promise<AcmeSession> {
  const { http, about, email, runtime } = options
  const key = createPrivateKey(options.key)
  const jwk = publicJwk(key)
  const directory = await readDirectory(http, about)
  const nonces: string[] = []

  async function freshNonce(): Promise<string> {
    const known = nonces.pop()
    if (known !== undefined) return known
    const answer = await http.send('HEAD', directory.newNonce)
    return answer.header('replay-nonce') ?? unreadable(about, 'it gave no nonce')
  }

  async function signed(url: string, identity: object, payload: object | undefined): Promise<AcmeAnswer> {
    for (let tries = 1; ; tries++) {
      const header = { alg: 'ES256', nonce: await freshNonce(), url, ...identity }
      const answer = await http.send('POST', url, signBody(key, header, payload))
      const nonce = answer.header('replay-nonce')
      if (nonce !== undefined) nonces.push(nonce)
      if (answer.status < 300) return answer
      const problem: Problem = jsonIn(answer)
      if (isProblem(problem, 'badNonce') && tries < NONCE_TRIES) continue
      throw refused(problem, answer)
    }
  }

  const refused = (problem: Problem, answer: AcmeAnswer) =>
    refusal(about, problem, { status: answer.status, retryAfter: retryAfter(answer, runtime.now()) })

  const contact = email === null ? [] : [`mailto:${email}`]
  const answer = await signed(directory.newAccount, { jwk }, { termsOfServiceAgreed: true, contact })
  const account = answer.header('location') ?? unreadable(about, 'it gave no account')
  const post: AcmeSession['post'] = (url, payload) => signed(url, { kid: account }, payload)
  // One that was there already keeps its address until it is told another.
  const known = (jsonIn(answer) as { contact?: unknown }).contact
  if (email !== null && JSON.stringify(known) !== JSON.stringify(contact)) await post(account, { contact })

  return {
    account,
    newOrder: directory.newOrder,
    keyAuthorization: (token) => `${token}.${thumbprint(jwk)}`,
    post,
  }
}

async function readDirectory(
  http: AcmeHttp,
  about: { domain: string; directory: string },
): Promise<Directory> {
  const answer = await http.send('GET', about.directory)
  if (answer.status !== 200) {
    fail('ACME_UNREACHABLE', {
      directory: about.directory,
      reason: `it answered with status ${answer.status}`,
    })
  }
  const { newNonce, newAccount, newOrder } = jsonIn(answer) as Record<string, unknown>
  if (typeof newNonce !== 'string' || typeof newAccount !== 'string' || typeof newOrder !== 'string') {
    return unreadable(about, 'there is no ACME directory at this address')
  }
  return { newNonce, newAccount, newOrder }
}

function unreadable({ directory }: { directory: string }, reason: string): never {
  return fail('ACME_UNREACHABLE', { directory, reason })
}

const base64url = (value: string | Buffer): string => Buffer.from(value).toString('base64url')

/** A flattened JWS (RFC 7515). No payload at all is what makes a POST a GET. */
function signBody(key: KeyObject, header: object, payload: object | undefined): string {
  const protectedPart = base64url(JSON.stringify(header))
  const payloadPart = payload === undefined ? '' : base64url(JSON.stringify(payload))
  const signature = sign('sha256', Buffer.from(`${protectedPart}.${payloadPart}`), {
    key,
    dsaEncoding: 'ieee-p1363',
  })
  return JSON.stringify({ protected: protectedPart, payload: payloadPart, signature: base64url(signature) })
}

interface EcJwk {
  crv: string
  kty: string
  x: string
  y: string
}

function publicJwk(key: KeyObject): EcJwk {
  const { crv = '', kty = '', x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' })
  // In this order, and nothing else: the thumbprint is taken over it (RFC 7638).
  return { crv, kty, x, y }
}

function thumbprint(jwk: EcJwk): string {
  return createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
}
