/** What can go wrong with the certificates of a server: part of the registry in error-kinds.ts. */
export const certificateErrorKinds = {
  CERTIFICATE_NOT_FOUND: {
    status: 404,
    retryable: false,
    message: 'This server holds no certificate for {domain}.',
  },
  CERTIFICATE_IN_USE: {
    status: 409,
    retryable: false,
    message: 'The certificate for {domain} is used by {by}. Give that another one first.',
  },
  CERTIFICATE_NOT_RENEWABLE: {
    status: 409,
    retryable: false,
    message: 'The certificate for {domain} comes from elsewhere. Get the new one there and import it.',
  },
  CHALLENGE_PORT_TAKEN: {
    status: 409,
    retryable: false,
    message:
      'To prove that {domain} is this machine, port {port} is needed for a moment, but {reason}. Free it, or prove it on the other port.',
  },
  ACME_REFUSED: {
    status: 422,
    retryable: false,
    message: 'The certificate authority gives no certificate for {domain}: {reason}.',
  },
  ACME_UNREACHABLE: {
    status: 503,
    retryable: true,
    message: 'The certificate authority at {directory} cannot be reached or is out of order: {reason}.',
  },
} as const
