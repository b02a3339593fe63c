import type { SecureContext } from 'node:tls'
import { buildConnector, type Dispatcher, Pool } from 'undici'
import { MAX_BACKUP_BYTES, operationMeta, operationNames } from '#src/contract/index.ts'
import { identityProblem } from '#src/trust/peer.ts'
import { WrongIdentity } from './unreachable.ts'

/**
 * An idle connection is kept for this long: longer than two health sweeps of 30 s, so that a warm server costs no
 * handshake (3.6 ms of CPU against 0.15 ms for the request). The agent keeps it longer still.
 */
const KEEP_ALIVE_MS = 75_000
/** Connecting takes this long at most, so that the reason is known before a health probe of 10 s gives up. */
const CONNECT_TIMEOUT_MS = 8_000
/** A slow call (a whole mirror) must not hold up a health probe; more would only cost memory on both sides. */
const CONNECTIONS = 4
/** A backup made while another is put back. */
const FILES = 2
/** Far more than the largest mirror we expect; bounds what a broken or hostile server can make us hold. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** One for what happens there, the rest for people who read along in a log. */
const STREAMS = 8
/** A stream says something every 10 s: two that are missing, and a slow line, are no accident any more. */
const STREAM_SILENCE_MS = 25_000
/** The socket of a stream that has ended is of no more use. */
const STREAM_KEEP_ALIVE_MS = 1_000

export interface DirectTransport {
  /** https://host:port */
  endpoint: string
  serverId: number
  /** The one context of all servers: making one costs 2.4 ms. Asked for at each connection, as it is renewed. */
  secureContext: () => SecureContext
  /** The allow-list: whether this public key may speak for the server now. */
  isAllowed: (spkiHash: string, serverId: number) => boolean
}

/** ms: an installation downloads for minutes before it answers. */
function longestCall(): number {
  return Math.max(...operationNames().map((name) => operationMeta(name).timeout))
}

/** Dials a server's open port, and accepts there nobody but this server. */
export function directDispatcher(options: DirectTransport): Dispatcher {
  return forAnswers(options, CONNECTIONS, MAX_ANSWER_BYTES)
}

/** The same for files: larger than any answer, and not in the way of anything else. */
export function fileDispatcher(options: DirectTransport): Dispatcher {
  return forAnswers(options, FILES, MAX_BACKUP_BYTES)
}

function forAnswers(options: DirectTransport, connections: number, maxResponseSize: number): Dispatcher {
  return pool(options, {
    connections,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // An agent's own hint must not make us keep fewer or more.
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    // The deadline of the call is the one that counts; these only end what nobody waits for any more.
    headersTimeout: longestCall() + 60_000,
    bodyTimeout: 120_000,
    maxResponseSize,
  })
}

/**
 * The same for streams. They have connections of their own, so that they take none from the calls.
 * @param silenceMs a stream that says nothing for so long is broken: its connection may have died without a word
 */
export function streamDispatcher(options: DirectTransport, silenceMs = STREAM_SILENCE_MS): Dispatcher {
  return pool(options, {
    connections: STREAMS,
    keepAliveTimeout: STREAM_KEEP_ALIVE_MS,
    keepAliveMaxTimeout: STREAM_KEEP_ALIVE_MS,
    headersTimeout: 120_000,
    bodyTimeout: silenceMs,
    // It has no end, so its size has none; that of an event is looked at where it is read.
    maxResponseSize: -1,
  })
}

function pool(options: DirectTransport, limits: Pool.Options): Pool {
  const { serverId, isAllowed } = options
  const connectorWith = (secureContext: SecureContext): buildConnector.connector =>
    buildConnector({
      allowH2: false,
      timeout: CONNECT_TIMEOUT_MS,
      // A resumed session skips the check below, and with it a revocation.
      maxCachedSessions: 0,
      secureContext,
      rejectUnauthorized: true,
      // The host name proves nothing here: machines move. The identity that the fleet's CA wrote does.
      checkServerIdentity: (_host, peer) => {
        const problem = identityProblem(peer.raw, serverId, isAllowed)
        return problem === undefined ? undefined : new WrongIdentity(problem)
      },
    })
  return new Pool(options.endpoint, {
    connect: (target, callback) => connectorWith(options.secureContext())(target, callback),
    ...limits,
  })
}
