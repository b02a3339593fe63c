import { describe, expect, it } from 'vitest'
import { refusal, retryAfter } from './problem.ts'

const about = { domain: 'a.example.org', directory: 'https://ca.example/dir' }
const urn = (name: string) => `urn:ietf:params:acme:error:${name}`

describe('a refusal', () => {
  it('has the reason of the authority, on one line and not too long', () => {
    const detail = `Error creating new order ::\n policy\u0000 forbids it.`
    expect(refusal(about, { type: urn('rejectedIdentifier'), detail })).toMatchObject({
      code: 'ACME_REFUSED',
      retryable: false,
      details: { domain: 'a.example.org', reason: 'Error creating new order :: policy forbids it' },
    })
    const long = refusal(about, { detail: 'x'.repeat(10_000) })
    expect(String(long.details['reason'])).toHaveLength(400)
  })

  it('prefers what is said of one name', () => {
    const problem = { detail: 'several problems', subproblems: [{ detail: 'CAA forbids it' }] }
    expect(refusal(about, problem).details['reason']).toBe('CAA forbids it')
  })

  it.each([
    [{ type: urn('caa') }, 403, 'urn:ietf:params:acme:error:caa'],
    [{}, 404, 'it answered with status 404'],
    [{ detail: '\n' }, 400, 'it answered with status 400'],
    [{ detail: 7 as never }, 400, 'it answered with status 400'],
  ])('says what it can of %j with status %s', (problem, status, reason) => {
    expect(refusal(about, problem, { status, retryAfter: undefined }).details['reason']).toBe(reason)
  })

  it('of too many orders says when to come back', () => {
    const answer = { status: 429, retryAfter: 3_600 }
    expect(refusal(about, { type: urn('rateLimited'), detail: 'too many' }, answer)).toMatchObject({
      code: 'ACME_REFUSED',
      details: { reason: 'too many', retryAfter: 3_600 },
    })
  })

  it.each([
    [{ detail: 'down for maintenance' }, 503],
    [{ type: urn('serverInternal'), detail: 'down for maintenance' }, 0],
  ])('that is its own fault may pass: %j, status %s', (problem, status) => {
    expect(refusal(about, problem, { status, retryAfter: undefined })).toMatchObject({
      code: 'ACME_UNREACHABLE',
      retryable: true,
      details: { directory: about.directory, reason: 'down for maintenance' },
    })
  })
})

describe('the time an authority asks to wait', () => {
  const now = Date.parse('2026-03-01T00:00:00Z')
  it.each([
    ['120', 120],
    ['Sun, 01 Mar 2026 00:02:00 GMT', 120],
    ['99999999', 604_800],
    ['0', undefined],
    ['-5', undefined],
    ['soon', undefined],
    [undefined, undefined],
    ['Sun, 01 Mar 2020 00:02:00 GMT', undefined],
  ])('is read from %s: %s', (value, seconds) => {
    expect(retryAfter({ header: () => value }, now)).toBe(seconds)
  })
})
