/** What a certificate authority says when it refuses (RFC 7807, RFC 8555 section 6.7). */
import { type ErrorDetails, FleetError } from '#src/errors.ts'
import type { AcmeAnswer } from './http.ts'

export interface Problem {
  type?: string
  detail?: string
  status?: number
  subproblems?: Problem[]
}

/** A reason has to fit into a chat message beside other text. */
const MAX_REASON = 400
/** s. An authority may ask for more, but whoever waits longer for it is better told to look for himself. */
const MAX_RETRY_AFTER = 7 * 24 * 60 * 60

/** Seconds that an answer asks to wait; undefined when it asks for nothing. */
export function retryAfter(answer: Pick<AcmeAnswer, 'header'>, now: number): number | undefined {
  const value = answer.header('retry-after')?.trim() ?? ''
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - now) / 1000)
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, MAX_RETRY_AFTER) : undefined
}

export function isProblem(problem: Problem, name: string): boolean {
  return problem.type === `urn:ietf:params:acme:error:${name}`
}

/**
 * A refusal as a coded error: ACME_UNREACHABLE where the fault is the authority's own and may pass, ACME_REFUSED with
 * its reason for all others. `retryAfter` in the details: for so many seconds it wants to be left alone.
 */
export function refusal(
  about: { domain: string; directory: string },
  problem: Problem,
  answer?: { status: number; retryAfter: number | undefined },
): FleetError {
  const { domain, directory } = about
  const status = answer?.status ?? 0
  const reason = reasonOf(problem) ?? `it answered with status ${status}`
  if (status >= 500 || isProblem(problem, 'serverInternal')) {
    return new FleetError('ACME_UNREACHABLE', { directory, reason })
  }
  const details: ErrorDetails = { domain, reason }
  if (answer?.retryAfter !== undefined) details['retryAfter'] = answer.retryAfter
  return new FleetError('ACME_REFUSED', details)
}

/** What is wrong, in the authority's words: the cause of one domain says more than what is said of all. */
function reasonOf(problem: Problem): string | undefined {
  const detail = problem.subproblems?.find((sub) => typeof sub.detail === 'string')?.detail ?? problem.detail
  if (typeof detail !== 'string')
    return typeof problem.type === 'string' ? problem.type.slice(0, MAX_REASON) : undefined
  const line = detail.replace(/[\p{C}\p{Z}]+/gu, ' ').trim()
  // The sentence around it has a full stop of its own.
  return line === '' ? undefined : line.slice(0, MAX_REASON).replace(/\.$/, '')
}
