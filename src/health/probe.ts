import type { Health, ServerConnector, ServerInfo } from '#src/contract/index.ts'
import { clipDetails } from '#src/clip.ts'
import { FleetError } from '#src/errors.ts'
import type { CodedError } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'

/** What health needs of a connector. */
export type ProbeTarget = { server: Pick<ServerConnector['server'], 'health' | 'info'> }

export type ProbeResult =
  | { type: 'answered'; askedAt: number; health: Health }
  | { type: 'xrayDown' | 'partly'; askedAt: number; health: Health; reason: CodedError }
  /** `cause` is for the log where `reason` cannot tell. */
  | { type: 'missed'; askedAt: number; reason: CodedError; cause?: unknown }

/**
 * Asks a server once how it is. Never throws: no answer within `timeoutMs` is a miss like any other.
 * @param connect gets the connector; what it throws is a miss as well
 * @param signal ends the probe at once, as a miss
 */
export async function probe(
  connect: () => ProbeTarget,
  timeoutMs: number,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const askedAt = runtime.now()
  try {
    const health = await withTimeout((end) => connect().server.health(undefined, { signal: end }), {
      timeoutMs,
      runtime,
      signal,
    })
    if (health.status === 'online' && health.xrayRunning) return { type: 'answered', askedAt, health }
    const { xrayRunning, lastError } = health
    const details = clipDetails({
      reason: lastError ?? (xrayRunning ? 'it did not say why' : 'it is not running'),
    })
    return xrayRunning
      ? { type: 'partly', askedAt, health, reason: { code: 'XRAY_PARTLY', details } }
      : { type: 'xrayDown', askedAt, health, reason: { code: 'XRAY_UNAVAILABLE', details } }
  } catch (error) {
    if (error instanceof FleetError) {
      const reason = { code: error.code, details: clipDetails(error.details) }
      return { type: 'missed', askedAt, reason, cause: error.cause }
    }
    const trace = runtime.uuid()
    return { type: 'missed', askedAt, reason: { code: 'INTERNAL', details: { trace } }, cause: error }
  }
}

/** Asks a server what it is. @throws FleetError of the connector, SERVER_TIMEOUT */
export function askInfo(
  connect: () => ProbeTarget,
  timeoutMs: number,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<ServerInfo> {
  return withTimeout((end) => connect().server.info(undefined, { signal: end }), {
    timeoutMs,
    runtime,
    signal,
  })
}

/** Does not trust the call to heed its signal: a connection that hangs must not hold up a sweep. */
async function withTimeout<T>(
  call: (signal: AbortSignal) => Promise<T>,
  limit: { timeoutMs: number; runtime: Runtime; signal: AbortSignal },
): Promise<T> {
  const timedOut = new AbortController()
  const answered = new AbortController()
  const deadline = limit.runtime
    .sleep(limit.timeoutMs, AbortSignal.any([answered.signal, limit.signal]))
    .then(() => {
      const error = new FleetError('SERVER_TIMEOUT', { seconds: limit.timeoutMs / 1_000 })
      timedOut.abort(error)
      throw error
    })
  const reply = Promise.resolve(AbortSignal.any([timedOut.signal, limit.signal])).then(call)
  try {
    return await Promise.race([reply, deadline])
  } finally {
    answered.abort(new Error('answered'))
    // Whichever lost the race ends on its own; nobody waits for its complaint.
    reply.catch(() => undefined)
    deadline.catch(() => undefined)
  }
}
