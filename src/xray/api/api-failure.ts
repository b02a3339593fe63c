import { status } from '@grpc/grpc-js'
import { FleetError } from '#src/errors.ts'

/** The gRPC status code of a failed call; null for anything else that was thrown. */
export function statusOf(error: unknown): number | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : null
}

// Xray gives nearly every refusal the status UNKNOWN, so only its words tell them apart. The words are those of
// 26.3.27; a test against the real Xray fails when a newer one says it otherwise.

/** An inbound or a user of this name is there already. */
export function isAlreadyThere(error: unknown): boolean {
  return /already exists|existing tag found/i.test(textOf(error))
}

/** What should be removed is not there. For an unknown tag Xray says it has "not enough information". */
export function isNotThere(error: unknown): boolean {
  return /not found|not enough information for making a decision/i.test(textOf(error))
}

export function isMissingInbound(error: unknown): boolean {
  return /handler not found: /i.test(textOf(error))
}

/**
 * A failed call as a coded error. `tag` is the inbound the call was about, if any.
 * A FleetError passes unchanged.
 */
export function apiFailure(error: unknown, tag?: string): FleetError {
  if (error instanceof FleetError) return error
  const code = statusOf(error)
  const reason = textOf(error)
  if (code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED || code === status.CANCELLED) {
    return new FleetError('XRAY_UNAVAILABLE', { reason: reasonOfSilence(code) }, { cause: error })
  }
  if (tag !== undefined && isMissingInbound(error)) {
    return new FleetError('INBOUND_NOT_FOUND', { inbound: tag }, { cause: error })
  }
  return new FleetError('XRAY_REFUSED', { reason }, { cause: error })
}

function reasonOfSilence(code: number): string {
  return code === status.DEADLINE_EXCEEDED ? 'its API took too long' : 'its API is not there'
}

function textOf(error: unknown): string {
  if (error instanceof Error && 'details' in error && typeof error.details === 'string') return error.details
  return error instanceof Error ? error.message : String(error)
}
