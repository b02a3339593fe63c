/** What the system says when a connection cannot be had, or breaks, in plain words. By the error's code. */
export const networkWords: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name was not found',
  EAI_AGAIN: 'its name could not be looked up',
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'connecting timed out',
  EHOSTUNREACH: 'there is no route to it',
  EHOSTDOWN: 'the machine is down',
  ENETUNREACH: 'there is no route to its network',
}
