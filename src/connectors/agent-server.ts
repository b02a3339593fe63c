import { X509Certificate } from 'node:crypto'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import type { Runtime } from '#src/runtime.ts'
import { isController } from '#src/trust/peer.ts'
import { createContractHandler } from './http.ts'
import { listen, type Listening } from './listening.ts'

/** Longer than the controller keeps an idle connection, so that it never sends into one we are just closing. */
const KEEP_ALIVE_MS = 120_000
/**
 * One controller has four connections, and up to eight for streams. The rest is room for strangers, who come no further
 * than the handshake.
 */
const MAX_CONNECTIONS = 512
/** Longer than the controller itself waits for a connection, and by far not Node's two minutes. */
const HANDSHAKE_TIMEOUT_MS = 10_000
/** A backup of 1 GiB at 10 Mbit/s; by then nobody waits for its answer. Node would cut it off after 5 minutes. */
const REQUEST_TIMEOUT_MS = 15 * 60_000

/**
 * The agent's door: HTTPS, TLS 1.3, and a certificate of the fleet's CA that says `controller`, or no conversation.
 */
export async function startAgentServer(options: {
  listen: { host: string; port: number }
  identity: { certificatePem: string; keyPem: string; caPem: string }
  operations: NodeOperations
  runtime: Pick<Runtime, 'randomBytes'>
  log: Log
  faults?: Faults | undefined
}): Promise<Listening> {
  const { identity, operations, runtime, log, faults } = options
  const server = createServer(
    {
      cert: identity.certificatePem,
      key: identity.keyPem,
      ca: identity.caPem,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
    },
    createContractHandler(operations, { log, runtime, faults }),
  )
  server.maxConnections = MAX_CONNECTIONS
  // First in line, so that a stranger's connection is gone before HTTP sees it.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    const { raw } = socket.getPeerCertificate()
    if (raw !== undefined && isController(new X509Certificate(raw))) return
    log.warn({ from: socket.remoteAddress }, "refused a certificate that is not the controller's")
    socket.destroy()
  })
  server.on('tlsClientError', (error, socket) => {
    // Node ends the socket itself, once the alert that tells the caller why has left.
    log.debug({ from: socket.remoteAddress, reason: error.message }, 'a TLS handshake failed')
  })
  return listen(server, options.listen)
}
