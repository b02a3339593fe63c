import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { listen as listenAt } from '#src/connectors/listening.ts'
import { describeIssue } from '#src/contract/index.ts'
import { type FleetError, fail, toFleetError } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import { randomId, type Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { type Address, formatAddress, isHost, plainIp } from '#src/trust/address.ts'
import type { Ca } from '#src/trust/ca.ts'
import type { ControllerTls } from '#src/trust/controller-tls.ts'
import type { Identities } from '#src/trust/identities.ts'
import { joinRequest } from '#src/trust/join-protocol.ts'
import { redeemJoinToken } from '#src/trust/join-tokens.ts'
import { createRateLimit } from './rate-limit.ts'

/** A join request has about 1 KiB. */
const MAX_BODY_BYTES = 16 * 1024
/** A person who pastes a command repeats it a few times; guessing 256 bits would need rather more. */
const ATTEMPTS_PER_MINUTE = 10
const MINUTE_MS = 60_000
/** Anyone may connect here, so whoever is slow is let go. A join is one small request. */
const REQUEST_TIMEOUT_MS = 15_000
const MAX_CONNECTIONS = 256

export interface Joined {
  /** https://host:port */
  endpoint: string
  /** Where the request came from. */
  address: string
}

export interface Gateway {
  address: Address
  close(): Promise<void>
}

/**
 * The one door for machines that have no certificate yet: HTTPS, TLS 1.3, `POST /join` and nothing else.
 * @param onJoined called after the identity is committed; again when a machine repeats the request
 */
export async function startGateway(options: {
  listen: Address
  ca: Ca
  tls: ControllerTls
  identities: Identities
  db: Sqlite
  runtime: Pick<Runtime, 'now' | 'randomBytes'>
  log: Pick<Log, 'info' | 'warn' | 'error'>
  onJoined: (serverId: number, joined: Joined) => void
  /** How long a handshake, a request's head and a whole request may each take, ms. */
  patienceMs?: number
}): Promise<Gateway> {
  const { listen, tls, db, runtime, log, onJoined, patienceMs = REQUEST_TIMEOUT_MS } = options
  const mayTry = createRateLimit({
    limit: ATTEMPTS_PER_MINUTE,
    windowMs: MINUTE_MS,
    maxKeys: 10_000,
    now: () => runtime.now(),
  })
  const updateServer = db.prepare(
    `update servers set endpoint = ?, public_address = coalesce(nullif(public_address, ''), ?), updated_at = ?
     where id = ? and kind = 'agent'`,
  )

  async function join(request: IncomingMessage): Promise<object> {
    const address = plainIp(request.socket.remoteAddress ?? '')
    const parsed = joinRequest.safeParse(await readJson(request))
    if (!parsed.success) fail('BAD_INPUT', describeIssue(parsed.error.issues[0]))
    const { id, secret, csr, as, port, publicAddress } = parsed.data
    if (!mayTry(id)) fail('RATE_LIMITED', { seconds: MINUTE_MS / 1000 })
    const host = publicAddress ?? address
    const endpoint = `https://${formatAddress({ host, port })}`
    // An address with a zone (fe80::1%eth0) means something on one machine only.
    if (!isHost(host) || !URL.canParse(endpoint)) {
      fail('BAD_INPUT', { field: 'publicAddress', reason: 'this machine must say where it is reached' })
    }
    const { serverId, leaf } = await redeemJoinToken(options, { id, secret, csr, as }, (server) => {
      const { changes } = updateServer.run(endpoint, host, runtime.now(), server)
      // The server was removed, or is this machine itself.
      if (changes === 0) fail('JOIN_TOKEN_WRONG')
    })
    log.info({ server: serverId, endpoint, address }, 'a server has joined')
    onJoined(serverId, { endpoint, address })
    return { serverId, certificate: leaf.certificatePem, address: host }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // One request per connection: who joins needs no more, and what is left unread of it is never looked at.
    response.setHeader('connection', 'close')
    try {
      if (request.method !== 'POST' || request.url !== '/join') fail('NOT_FOUND')
      send(response, 200, await join(request))
    } catch (error) {
      if (request.destroyed && !request.complete) return
      const trace = randomId(runtime, 64)
      const coded = toFleetError(error, trace)
      const from = plainIp(request.socket.remoteAddress ?? '')
      if (coded.code === 'INTERNAL') {
        log.error(
          { trace, from, cause: error instanceof Error ? error.stack : typeof error },
          'a join failed',
        )
      } else log.warn({ trace, from, code: coded.code }, 'a join was refused')
      send(response, coded.status, refusal(coded))
    }
  }

  const server = createServer(
    {
      ...tls.material(),
      requestTimeout: patienceMs,
      headersTimeout: patienceMs,
      handshakeTimeout: patienceMs,
      // Node looks only so often who is late: every 30 s, unless told.
      connectionsCheckingInterval: patienceMs / 5,
    },
    (request, response) => {
      void serve(request, response)
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  const unsubscribe = tls.onRenewed(() => server.setSecureContext(tls.material()))

  const listening = await listenAt(server, listen)
  return {
    address: { host: listening.host, port: listening.port },
    close: () => {
      unsubscribe()
      return listening.close()
    },
  }
}

function refusal(error: FleetError): object {
  return { code: error.code, message: error.message, details: error.details }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  const parts = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
  for await (const chunk of parts) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) fail('PAYLOAD_TOO_LARGE', { limit: MAX_BODY_BYTES })
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    return fail('BAD_INPUT', { field: 'body', reason: 'not JSON' }, { cause })
  }
}
