import { ORPCError } from '@orpc/client'
import { describeIssue } from '#src/contract/index.ts'
import { type ErrorDetails, FleetError, isErrorCode, toFleetError } from '#src/errors.ts'

/** What an error carries over the wire besides code, status and message. */
interface WireData {
  retryable: boolean
  details: ErrorDetails
  /** Under this id the server's log has what happened. */
  trace: string
}

/** Anything thrown while an operation ran, as the error its caller meets; what is unknown becomes INTERNAL. */
export function toCallError(error: unknown, trace: string): FleetError {
  if (error instanceof ORPCError && error.code === 'BAD_REQUEST') {
    return new FleetError('BAD_INPUT', describeIssue(issuesOf(error)[0]), { cause: error })
  }
  return toFleetError(error, trace)
}

/** A coded error as it is sent. */
export function toWire(error: FleetError, trace: string): ORPCError<string, WireData> {
  return new ORPCError(error.code, {
    status: error.status,
    message: error.message,
    data: { retryable: error.retryable, details: error.details, trace },
    cause: error,
  })
}

/** What a server answered, as the error it meant. A code that only a newer release knows keeps its words. */
export function fromWire(error: ORPCError<string, unknown>): FleetError {
  const data = isRecord(error.data) ? error.data : {}
  if (isErrorCode(error.code)) return new FleetError(error.code, plainDetails(data.details))
  if (data.details === undefined) {
    return new FleetError('SERVER_ANSWER_UNREADABLE', { reason: `status ${error.status}` })
  }
  const code = data.retryable === true ? 'SERVER_UNREACHABLE' : 'SERVER_REFUSED'
  return new FleetError(code, { reason: error.message.slice(0, 300) })
}

/**
 * The causes beneath an error, for a log: names, messages and stacks alone, never the values an error may carry with
 * it, since those can be credentials.
 */
export function describeCauses(error: unknown): string {
  const lines: string[] = []
  // Bounded, since a cause may point back at its own effect.
  for (
    let at: unknown = error;
    at !== undefined && lines.length < 8;
    at = at instanceof Error ? at.cause : undefined
  ) {
    lines.push(at instanceof Error ? (at.stack ?? String(at)) : typeof at)
    for (const issue of issuesOf(at).slice(0, 3)) {
      const { field, reason } = describeIssue(issue)
      lines.push(`  ${field}: ${reason}`)
    }
  }
  return lines.join('\ncaused by ')
}

interface Issue {
  message: string
  path?: readonly unknown[] | undefined
}

function issuesOf(error: unknown): Issue[] {
  if (!isRecord(error)) return []
  const holder = isRecord(error.data) && Array.isArray(error.data.issues) ? error.data : error
  return Array.isArray(holder.issues) ? (holder.issues as Issue[]) : []
}

/** Details come from another machine: only the flat values they may be are kept, and not too many of them. */
function plainDetails(details: unknown): ErrorDetails {
  if (!isRecord(details)) return {}
  const plain = Object.entries(details)
    .filter(([, value]) => value === null || ['string', 'number', 'boolean'].includes(typeof value))
    .slice(0, 16)
    .map(([key, value]) => [key, typeof value === 'string' ? value.slice(0, 500) : value])
  return Object.fromEntries(plain) as ErrorDetails
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
