import { afterEach, expect, it } from 'vitest'
import { FleetError } from '#src/errors.ts'
import { type Runtime, systemRuntime } from '#src/runtime.ts'
import { hurriedRuntime } from '#test/support/hurried-runtime.ts'
import { type OddAnswer, type OddAuthority, startOddAuthority } from '#test/support/odd-authority.ts'
import { makeKey } from '../making.ts'
import { orderCertificate } from './order.ts'

let authority: OddAuthority | undefined
afterEach(() => authority?.stop())

/** What becomes of an order with an authority that answers so. */
async function orderFrom(
  answers: (origin: string) => Record<string, OddAnswer>,
  runtime: Runtime = systemRuntime(),
): Promise<unknown> {
  authority = await startOddAuthority(answers)
  return orderCertificate(
    { domain: 'a.example.org', challenge: 'http-01', email: null, key: await makeKey() },
    {
      settings: authority.settings,
      accountKey: await makeKey(),
      runtime,
      portHolder: () => undefined,
      signal: new AbortController().signal,
    },
  ).catch((error: unknown) => error)
}

it('too many orders are refused with the time to come back, which nobody waits for', async () => {
  const problem = { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many certificates' }
  const error = await orderFrom(() => ({
    'POST /new': { status: 429, body: problem, headers: { 'retry-after': '90000' } },
  }))
  expect(error).toMatchObject({
    code: 'ACME_REFUSED',
    details: { reason: 'too many certificates', retryAfter: 90_000 },
  })
  expect(authority?.asked.filter((what) => what === 'POST /new')).toHaveLength(1)
})

it('an authority that never decides is given up, whatever it asks to wait', async () => {
  const wait = { 'retry-after': '86400' }
  const error = await orderFrom(
    (origin) => ({
      'POST /authz': {
        status: 200,
        body: {
          status: 'pending',
          challenges: [{ type: 'http-01', url: `${origin}/challenge`, token: 'token' }],
        },
        headers: wait,
      },
    }),
    hurriedRuntime(60),
  )
  expect(error).toMatchObject({
    code: 'ACME_UNREACHABLE',
    retryable: true,
    details: { reason: 'it did not decide within 90 s' },
  })
  expect(authority?.asked.filter((what) => what === 'POST /authz').length).toBeGreaterThan(5)
})

it.each([
  ['is out of order', { 'GET /dir': { status: 503 } }, 'ACME_UNREACHABLE', 'it answered with status 503'],
  ['is no authority', { 'GET /dir': { status: 200, body: {} } }, 'ACME_UNREACHABLE', /no ACME directory/],
  ['is moved elsewhere', { 'GET /dir': { status: 302 } }, 'ACME_UNREACHABLE', 'it answered with status 302'],
  [
    'refuses the account',
    {
      'POST /account': {
        status: 403,
        body: { type: 'urn:ietf:params:acme:error:externalAccountRequired', detail: 'bring an account' },
      },
    },
    'ACME_REFUSED',
    'bring an account',
  ],
  [
    'gives no account',
    { 'POST /account': { status: 201, body: {} } },
    'ACME_UNREACHABLE',
    'it gave no account',
  ],
  [
    'refuses every nonce',
    {
      'POST /account': {
        status: 400,
        body: { type: 'urn:ietf:params:acme:error:badNonce', detail: 'used already' },
      },
    },
    'ACME_REFUSED',
    'used already',
  ],
  [
    'offers another proof',
    { 'POST /authz': { status: 200, body: { status: 'pending', challenges: [{ type: 'dns-01' }] } } },
    'ACME_REFUSED',
    'it does not offer http-01',
  ],
  [
    'has a token that is none',
    {
      'POST /authz': {
        status: 200,
        body: { status: 'pending', challenges: [{ type: 'http-01', url: 'https://x/', token: '../x' }] },
      },
    },
    'ACME_REFUSED',
    'it does not offer http-01',
  ],
  [
    'sends us to a plain address',
    {
      'POST /authz': { status: 200, body: { status: 'valid' } },
      'POST /order': { status: 200, body: { status: 'ready', finalize: 'http://127.0.0.1/' } },
    },
    'ACME_UNREACHABLE',
    'it names an address without TLS',
  ],
  [
    'finds the order invalid after all',
    {
      'POST /authz': { status: 200, body: { status: 'valid' } },
      'POST /order': { status: 200, body: { status: 'invalid', error: { detail: 'CAA forbids it' } } },
    },
    'ACME_REFUSED',
    'CAA forbids it',
  ],
] as const)('an authority that %s', async (_what, answers, code, reason) => {
  const error = await orderFrom(() => answers)
  expect(error).toBeInstanceOf(FleetError)
  expect(error).toMatchObject({ code })
  expect((error as FleetError).details['reason']).toMatch(reason)
})
