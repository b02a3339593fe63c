/** Answers a certificate authority that looks whether a domain is this machine. Open only while one looks. */
import { createServer as createHttpServer } from 'node:http'
import type { Server, Socket } from 'node:net'
import { createSecureContext, createServer as createTlsServer, type SecureContext } from 'node:tls'
import type { Challenge } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { makeAlpnAnswer, makeKey } from '../making.ts'
import type { AcmeSettings } from './settings.ts'

/** The protocol an authority asks for in its handshake, RFC 8737. */
const ALPN = 'acme-tls/1'
const PATH = '/.well-known/acme-challenge/'
/** Authorities look from several places at once. Others who pass by are to cost nothing. */
const MAX_CONNECTIONS = 64
const QUIET_MS = 10_000

/** The port is ours; what is asked there is answered from `answer` on. */
export interface ChallengeStand {
  answer(token: string, keyAuthorization: string): Promise<void>
  close(): Promise<void>
}

export interface StandOptions {
  domain: string
  challenge: Challenge
  settings: AcmeSettings
  runtime: Pick<Runtime, 'now' | 'randomBytes'>
  /** Who has a port of this machine, as far as is known. */
  portHolder: (port: number) => string | undefined
}

/** @throws FleetError CHALLENGE_PORT_TAKEN */
export async function openStand(options: StandOptions): Promise<ChallengeStand> {
  const { challenge, settings } = options
  const stand = challenge === 'http-01' ? httpStand() : tlsStand(options)
  const port = challenge === 'http-01' ? settings.httpPort : settings.tlsPort
  const sockets = new Set<Socket>()
  stand.server.maxConnections = MAX_CONNECTIONS
  stand.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.setTimeout(QUIET_MS, () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
  })
  await listen(stand.server, port, options)
  return {
    answer: stand.answer,
    close: () =>
      new Promise((resolve) => {
        stand.server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function httpStand(): { server: Server; answer: ChallengeStand['answer'] } {
  const answers = new Map<string, string>()
  const server = createHttpServer({ requestTimeout: QUIET_MS }, (request, response) => {
    const found = answers.get(request.url ?? '')
    response.setHeader('connection', 'close')
    if (found === undefined || request.method !== 'GET') response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(found)
  })
  return {
    server,
    async answer(token, keyAuthorization) {
      answers.set(`${PATH}${token}`, keyAuthorization)
    },
  }
}

function tlsStand({ domain, runtime }: StandOptions): { server: Server; answer: ChallengeStand['answer'] } {
  let context: SecureContext | undefined
  const server = createTlsServer({
    ALPNProtocols: [ALPN],
    minVersion: 'TLSv1.2',
    handshakeTimeout: QUIET_MS,
    SNICallback: (name, callback) =>
      name.toLowerCase() === domain && context !== undefined
        ? callback(null, context)
        : callback(new Error('nobody of that name')),
  })
  // The handshake was the answer.
  server.on('secureConnection', (socket) => socket.end())
  server.on('tlsClientError', () => undefined)
  return {
    server,
    async answer(_token, keyAuthorization) {
      const key = await makeKey()
      context = createSecureContext({
        key,
        cert: await makeAlpnAnswer({ domain, key, keyAuthorization }, runtime),
      })
    },
  }
}

async function listen(server: Server, port: number, options: StandOptions): Promise<void> {
  const { domain, settings, portHolder } = options
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      // Without an address Node takes IPv6 and IPv4 alike, as far as the machine has them.
      server.listen({ port, ...(settings.listen === undefined ? {} : { host: settings.listen }) }, () => {
        server.off('error', reject)
        // Of a connection that could not be taken: the authority asks from several places.
        server.on('error', () => undefined)
        resolve()
      })
    })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reasons: Record<string, string> = {
      EADDRINUSE: `${portHolder(port) ?? 'another program'} uses it`,
      EACCES: 'this user may not open it',
      EADDRNOTAVAIL: 'this machine does not have the address it is to be opened on',
    }
    fail('CHALLENGE_PORT_TAKEN', { domain, port, reason: reasons[code ?? ''] ?? message }, { cause: error })
  }
}
