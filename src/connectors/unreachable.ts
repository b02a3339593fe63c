import { errors } from 'undici'
import { FleetError } from '#src/errors.ts'
import { networkWords } from '#src/trust/network-words.ts'

/** Raised by a transport when the peer proves to be someone else, before anything is sent to it. */
export class WrongIdentity extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'WrongIdentity'
  }
}

/**
 * What a transport threw, as a coded error with a reason in plain words.
 * @param endpoint the address that was dialled, for the message
 */
export function toTransportError(error: unknown, endpoint: string): FleetError {
  if (error instanceof FleetError) return error
  const links = chain(error)
  const wrong = links.find((link) => link instanceof WrongIdentity)
  if (wrong !== undefined) {
    return new FleetError('SERVER_IDENTITY_REFUSED', { endpoint, reason: wrong.message }, { cause: error })
  }
  for (const link of links) {
    const reason = plainReason(link)
    if (reason === undefined) continue
    const details = { endpoint, reason, ...(afterConnecting.has(codeOf(link) ?? '') ? { sent: true } : {}) }
    return new FleetError('SERVER_UNREACHABLE', details, { cause: error })
  }
  return new FleetError(
    'SERVER_UNREACHABLE',
    { endpoint, reason: `the connection failed (${codeOf(error) ?? 'no further reason'})` },
    { cause: error },
  )
}

/** An error, what it was caused by, and what it bundles: `connect` tries several addresses and reports all. */
function chain(error: unknown): Error[] {
  const found: Error[] = []
  const open = [error]
  while (open.length > 0 && found.length < 16) {
    const next = open.shift()
    if (!(next instanceof Error) || found.includes(next)) continue
    found.push(next)
    open.push(next.cause)
    if (next instanceof AggregateError) open.push(...(next.errors as unknown[]))
  }
  return found
}

const reasons: Record<string, string> = {
  ...networkWords,
  UND_ERR_CONNECT_TIMEOUT: 'connecting timed out',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_DESTROYED: 'the connection was closed',
  UND_ERR_CLOSED: 'the connection was closed',
  UND_ERR_BODY_TIMEOUT: 'nothing was heard from it for too long',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'its answer is too large',
}

/** These end a connection that was there: what was sent on it may have arrived. */
const afterConnecting = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_DESTROYED',
  'UND_ERR_CLOSED',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
])

const tlsReasons: Record<string, string> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; is a clock wrong?',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not from this fleet',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not from this fleet',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not from this fleet',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is not from this fleet',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not from this fleet',
  CERT_SIGNATURE_FAILURE: 'its certificate is not from this fleet',
  INVALID_PURPOSE: 'its certificate is not meant for a server',
}

/** Words for one error, or undefined where only its cause may know. */
function plainReason(error: Error): string | undefined {
  const code = codeOf(error)
  if (code === undefined) return undefined
  const tls = tlsReasons[code] ?? tlsAlert(code)
  if (tls !== undefined) return `TLS was refused: ${tls}`
  // An undici socket error often wraps what the system said, which is the better reason.
  if (error instanceof errors.SocketError && error.cause !== undefined) return undefined
  return reasons[code]
}

function tlsAlert(code: string): string | undefined {
  if (!/^(ERR_SSL_|EPROTO$)/.test(code)) return undefined
  if (/ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|CERTIFICATE_REQUIRED)/.test(code)) {
    return "it does not accept the controller's certificate"
  }
  if (/WRONG_VERSION|UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION/.test(code)) return 'it does not speak TLS 1.3'
  return `the handshake failed (${code})`
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
