/** When a task is sent, sent again, or given up. Pure: what happens is decided here, and done by the queue. */
import type { OperationMeta } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'

/** ms. Quick at first, since most outages are blips; a minute at most, so a server back is noticed without health. */
const BACKOFF = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000] as const
const LONGEST_BACKOFF = 60_000

/** An unknown fault of the server may pass once or twice; more often it is a bug that would block the queue forever. */
const INTERNAL_ATTEMPTS = 3

/** ms to wait after this many attempts (from 1). */
export function backoff(attempts: number): number {
  return BACKOFF[Math.max(1, attempts) - 1] ?? LONGEST_BACKOFF
}

/** Until when (ms since the epoch) a task may be sent: as long as the operation waits for a server, or for its answer. */
export function expiryOf(meta: Pick<OperationMeta, 'timeout' | 'whenOffline'>, now: number): number {
  return now + (meta.whenOffline === 'refuse' ? meta.timeout : meta.whenOffline.queue)
}

/** A server was switched off, or on again, `at` ms. */
export interface Switch {
  enabled: boolean
  at: number
}

/** For how long a server that is enabled now was not since `since`, ms, by how it was switched from then on, in order. */
export function disabledFor(switches: readonly Switch[], since: number): number {
  let [total, from] = [0, since]
  for (const { enabled, at } of switches) {
    if (enabled) total += at - from
    from = at
  }
  return total
}

/** Why a server cannot be sent anything at all, or undefined. */
export function heldBy(
  server: { kind: string; enabled: boolean; status: string; endpoint: string | null } | undefined,
): 'SERVER_DISABLED' | 'SERVER_NOT_JOINED' | undefined {
  if (server === undefined) return undefined
  if (!server.enabled) return 'SERVER_DISABLED'
  const joined = server.kind === 'local' || server.endpoint !== null || server.status !== 'pending'
  return joined ? undefined : 'SERVER_NOT_JOINED'
}

/** Why what cannot wait was not sent. */
export function unreachable(held: ReturnType<typeof heldBy>): FleetError {
  if (held !== undefined) return new FleetError(held)
  return new FleetError('SERVER_UNREACHABLE', { reason: 'it is away, and this is not kept for later' })
}

/** True when the server is known to be away: nothing is sent at once, only by back-off or when it is heard of. */
export function isAway(server: Parameters<typeof heldBy>[0]): boolean {
  if (heldBy(server) !== undefined) return true
  return server?.kind === 'agent' && server.status === 'offline'
}

export type Step = { do: 'send' } | { do: 'expire' } | { do: 'wait'; until: number }

/** What to do with the oldest open task of a server. */
export function nextStep(state: {
  task: { nextAttemptAt: number; expiresAt: number }
  held: boolean
  /** Someone has heard of the server: back-off does not count. */
  kicked: boolean
  now: number
}): Step {
  const { task, held, kicked, now } = state
  if (now >= task.expiresAt) return { do: 'expire' }
  if (held) return { do: 'wait', until: task.expiresAt }
  if (kicked || now >= task.nextAttemptAt) return { do: 'send' }
  return { do: 'wait', until: Math.min(task.nextAttemptAt, task.expiresAt) }
}

export type Outcome =
  | { status: 'applied'; error: null }
  | { status: 'unchanged'; error: null }
  | { status: 'failed'; error: FleetError }
  | { status: 'pending'; error: FleetError; nextAttemptAt: number }

/** What is deleted already is as it was asked to be. */
const GONE: Record<string, string> = {
  'clients.delete': 'CLIENT_NOT_FOUND',
  'inbounds.delete': 'INBOUND_NOT_FOUND',
  'certificates.delete': 'CERTIFICATE_NOT_FOUND',
}

type Failure = Pick<FleetError, 'code' | 'details'>

/** Sent, and the answer was lost: it may have been carried out. */
function isInDoubt({ code, details }: Failure): boolean {
  if (code === 'SERVER_UNREACHABLE') return details['sent'] === true
  return code === 'SERVER_TIMEOUT' || code === 'SERVER_ANSWER_UNREADABLE' || code === 'CHANGE_UNSETTLED'
}

/** Whether a task that is open may have been carried out by its server. */
export function isBegun(task: { attempts: number; status: string; error: Failure | null }): boolean {
  if (task.attempts === 0) return false
  // Without an error it was on its way when the process ended. A server that does not know what went wrong may be wrong.
  return (
    task.status === 'running' ||
    task.error === null ||
    task.error.code === 'INTERNAL' ||
    isInDoubt(task.error)
  )
}

/**
 * How a failure is kept. A server that is not reached does not answer for what was sent to it before: the doubt stays.
 * @param before the task as it was when it was sent this time
 */
export function withDoubt(
  error: FleetError,
  before: { attempts: number; error: Failure | null },
): FleetError {
  const wasBegun = before.attempts > 1 && isBegun({ ...before, status: 'pending' })
  if (error.code !== 'SERVER_UNREACHABLE' || !wasBegun) return error
  return new FleetError(error.code, { ...error.details, sent: true }, { cause: error.cause })
}

/** What is said of a task whose time is over. */
export function expired(task: { attempts: number }, meta: Pick<OperationMeta, 'whenOffline'>) {
  // Kept open after an attempt only while nobody knows what came of it.
  if (meta.whenOffline === 'refuse' && task.attempts > 0)
    return { status: 'failed', error: new FleetError('OUTCOME_UNKNOWN') } as const
  return { status: 'expired', error: new FleetError('TASK_EXPIRED') } as const
}

/** What a failed attempt comes to. */
export function decideFailure(attempt: {
  operation: string
  whenOffline: OperationMeta['whenOffline']
  error: FleetError
  /** This one included. */
  attempts: number
  now: number
}): Outcome {
  const { operation, whenOffline, error, attempts, now } = attempt
  if (GONE[operation] === error.code) return { status: 'unchanged', error: null }
  // Whether it had its effect only its server knows, which is asked again under the same key while the moment lasts.
  if (whenOffline === 'refuse' && !(attempts > 1 ? error.retryable : isInDoubt(error)))
    return { status: 'failed', error }
  const mayPass = error.code === 'INTERNAL' ? attempts < INTERNAL_ATTEMPTS : error.retryable
  if (!mayPass) return { status: 'failed', error }
  return { status: 'pending', error, nextAttemptAt: now + backoff(attempts) }
}
