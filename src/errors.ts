import { errorKinds } from './error-kinds.ts'

export { errorKinds }

export type ErrorCode = keyof typeof errorKinds

/** Values for the placeholders of a message. Never secrets: they reach logs and chats. */
export type ErrorDetails = Record<string, string | number | boolean | null>

/** An error by its code, as it can be said in any language. */
export interface CodedError {
  code: ErrorCode
  details: ErrorDetails
}

/** An error with a code from the registry. `cause` keeps what lay beneath, for the log alone. */
export class FleetError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(errorText(code, details), options)
    this.name = 'FleetError'
    this.code = code
    this.details = details
  }

  get status(): number {
    return errorKinds[this.code].status
  }

  get retryable(): boolean {
    return errorKinds[this.code].retryable
  }
}

/** Throws the coded error. Returns never, so it can stand in an expression. */
export function fail(code: ErrorCode, details: ErrorDetails = {}, options?: ErrorOptions): never {
  throw new FleetError(code, details, options)
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorKinds, code)
}

/** The English words of an error, placeholders filled. */
export function errorText(code: ErrorCode, details: ErrorDetails): string {
  return errorKinds[code].message.replace(/\{(\w+)\}/g, (_, key: string) => String(details[key] ?? '?'))
}

/** Anything thrown, as a FleetError: its own kind unchanged, everything else INTERNAL with the cause kept. */
export function toFleetError(error: unknown, trace: string): FleetError {
  if (error instanceof FleetError) return error
  if (isNoRoom(error)) return new FleetError('DISK_FULL', {}, { cause: error })
  return new FleetError('INTERNAL', { trace }, { cause: error })
}

/**
 * What lies beneath an error: libraries wrap what the system said. Of the addresses of a name, which all were tried, none
 * is more to blame than the first.
 */
export function rootOf(error: Error): Error {
  const beneath: unknown = error.cause ?? (error instanceof AggregateError ? error.errors[0] : undefined)
  return beneath instanceof Error ? rootOf(beneath) : error
}

/** What SQLite and the file system say when nothing more can be written: it may befall every write anywhere. */
const NO_ROOM = new Set<unknown>(['SQLITE_FULL', 'ENOSPC', 'EDQUOT'])

/** Whether something could not be written for want of room. */
export function isNoRoom(error: unknown): boolean {
  return error instanceof Error && 'code' in error && NO_ROOM.has(error.code)
}
