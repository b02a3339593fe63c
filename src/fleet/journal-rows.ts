import { type ErrorCode, type ErrorDetails, type FleetError, isErrorCode } from '#src/errors.ts'
import type { Actor } from '#src/store/schema.ts'
import type { TaskView } from './types.ts'

/** A row of the journal. */
export interface TaskRow extends TaskView {
  seq: number
  actor: Actor
  nextAttemptAt: number
  expiresAt: number
  /** The sealed rest of the input. */
  secrets: string | null
}

export interface RawTask extends Omit<TaskRow, 'input' | 'actor' | 'error'> {
  input: string
  actor: string
  error: string | null
}

/** A failure as it is kept. */
export function errorJson(error: FleetError | null): string | null {
  return error && JSON.stringify({ code: error.code, message: error.message, details: error.details })
}

/** A row as the database gives it, opened. */
export function toRow(raw: RawTask): TaskRow {
  const error = raw.error === null ? null : (JSON.parse(raw.error) as StoredError)
  return {
    ...raw,
    input: JSON.parse(raw.input) as unknown,
    actor: JSON.parse(raw.actor) as Actor,
    // A newer release may have known other codes.
    error: error && { ...error, code: isErrorCode(error.code) ? error.code : ('INTERNAL' as ErrorCode) },
  }
}

interface StoredError {
  code: string
  message: string
  details: ErrorDetails
}
