/**
 * Gets a certificate from a certificate authority (RFC 8555): order, prove the domain, hand in the request, fetch the chain.
 *
 * By no library: the one that is kept up (acme-client 5.4) holds 27 MB of an agent's memory where this takes 8, waits as
 * long as an authority asks with no way to end it, tells no kind of problem, and has its trust and its ports in module state.
 */
import type { Challenge } from '#src/contract/index.ts'
import { FleetError, fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { makeRequest } from '../making.ts'
import { openStand } from './challenge.ts'
import { type AcmeHttp, jsonIn, openAcmeHttp } from './http.ts'
import { type Problem, refusal, retryAfter } from './problem.ts'
import { type AcmeSession, openSession } from './session.ts'
import type { AcmeSettings } from './settings.ts'

export interface OrderRequest {
  domain: string
  challenge: Challenge
  email: string | null
  /** The certificate's key: PEM, P-256. */
  key: string
}

export interface OrderDeps {
  settings: AcmeSettings
  /** PEM, P-256. */
  accountKey: string
  runtime: Runtime
  /** Who has a port of this machine, as far as is known. */
  portHolder: (port: number) => string | undefined
  /** Ends the order. */
  signal: AbortSignal
}

/** An order takes 5 to 20 s at Let's Encrypt. Less than a caller waits (see the contract). */
const ORDER_WITHIN_MS = 90_000
/** Between two looks at what the authority has to decide, if it asks for nothing else: quick at first. */
const LOOK_AGAIN_MS = [250, 500, 1_000, 2_000]
const LONGEST_LOOK_AGAIN_MS = 3_000
/** An authority may ask to be left alone for longer than anybody waits. */
const MAX_ASKED_WAIT_MS = 10_000

type Order = {
  status?: string
  authorizations?: string[]
  finalize?: string
  certificate?: string
  error?: Problem
}
type Authorization = {
  status?: string
  challenges?: { type?: string; url?: string; token?: string; error?: Problem }[]
}

/**
 * @returns the chain, PEM, as the authority gave it
 * @throws FleetError CHALLENGE_PORT_TAKEN, ACME_REFUSED, ACME_UNREACHABLE, CONFIG_INVALID; or the signal's reason
 */
export async function orderCertificate(request: OrderRequest, deps: OrderDeps): Promise<string> {
  const { settings, runtime } = deps
  const { domain } = request
  const { directory } = settings
  const late = new AbortController()
  const signal = AbortSignal.any([deps.signal, late.signal])
  const clock = new AbortController()
  runtime.sleep(ORDER_WITHIN_MS, clock.signal).then(
    () =>
      late.abort(
        new FleetError('ACME_UNREACHABLE', {
          directory,
          reason: `it did not decide within ${ORDER_WITHIN_MS / 1000} s`,
        }),
      ),
    () => undefined,
  )
  let http: AcmeHttp | undefined
  try {
    // Before the authority hears of it: with the port taken it could only find the domain unproven, and count that.
    const stand = await openStand({ ...request, ...deps })
    try {
      http = await openAcmeHttp(settings, signal)
      const about = { domain, directory }
      const session = await openSession({ http, about, key: deps.accountKey, email: request.email, runtime })
      return await carryOut(request, {
        session,
        about,
        signal,
        runtime,
        answer: (...proof) => stand.answer(...proof),
      })
    } finally {
      await stand.close()
    }
  } finally {
    http?.close()
    clock.abort()
  }
}

interface Work {
  session: AcmeSession
  about: { domain: string; directory: string }
  signal: AbortSignal
  runtime: Runtime
  answer: (token: string, keyAuthorization: string) => Promise<void>
}

async function carryOut(request: OrderRequest, work: Work): Promise<string> {
  const { session, about } = work
  const { domain, key } = request
  const made = await session.post(session.newOrder, { identifiers: [{ type: 'dns', value: domain }] })
  const orderUrl = made.header('location') ?? unreadable(about)
  const order = jsonIn(made) as Order
  for (const url of order.authorizations ?? []) await prove(url, request.challenge, work)
  const ready = await decided<Order>(orderUrl, ['pending', 'processing'], work)
  if (ready.status === 'ready') {
    const csr = (await makeRequest({ domain, key })).toString('base64url')
    await session.post(ready.finalize ?? unreadable(about), { csr })
  }
  const done = await decided<Order>(orderUrl, ['pending', 'ready', 'processing'], work)
  if (done.status !== 'valid') throw refusal(about, done.error ?? {})
  return (await session.post(done.certificate ?? unreadable(about))).text
}

/** Proves one domain of an order, unless the authority remembers it proven. */
async function prove(url: string, challenge: Challenge, work: Work): Promise<void> {
  const { session, about } = work
  const authorization = jsonIn(await session.post(url)) as Authorization
  if (authorization.status === 'valid') return
  const offered = authorization.challenges?.find(({ type }) => type === challenge)
  if (offered?.url === undefined || offered.token === undefined || !/^[\w-]{1,512}$/.test(offered.token)) {
    return fail('ACME_REFUSED', { domain: about.domain, reason: `it does not offer ${challenge}` })
  }
  await work.answer(offered.token, session.keyAuthorization(offered.token))
  await session.post(offered.url, {})
  const found = await decided<Authorization>(url, ['pending'], work)
  if (found.status === 'valid') return
  throw refusal(about, found.challenges?.find(({ error }) => error !== undefined)?.error ?? {})
}

/** Looks again and again until a thing is in none of these states any more. */
async function decided<T extends { status?: string }>(
  url: string,
  undecided: readonly string[],
  { session, runtime, signal }: Work,
): Promise<T> {
  for (let looks = 0; ; looks++) {
    let asked = 0
    try {
      const answer = await session.post(url)
      const found = jsonIn(answer) as T
      if (found.status === undefined || !undecided.includes(found.status)) return found
      asked = Math.min((retryAfter(answer, runtime.now()) ?? 0) * 1000, MAX_ASKED_WAIT_MS)
    } catch (error) {
      // A look that fails decides nothing; the order's own time ends it if none succeeds.
      if (signal.aborted || !(error instanceof FleetError) || !error.retryable) throw error
    }
    await runtime.sleep(Math.max(asked, LOOK_AGAIN_MS[looks] ?? LONGEST_LOOK_AGAIN_MS), signal)
  }
}

function unreadable({ directory }: { directory: string }): never {
  return fail('ACME_UNREACHABLE', { directory, reason: 'its answer is not understood' })
}
