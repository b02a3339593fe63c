import type { SecureContext } from 'node:tls'
import type { ServerConnector } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import type { Runtime } from '#src/runtime.ts'
import { createLocalConnector } from './local.ts'
import { createRemoteConnector } from './remote.ts'
import { type DirectTransport, directDispatcher, fileDispatcher, streamDispatcher } from './transport.ts'

/** What of a server's row decides how it is reached. */
export interface Reachable {
  id: number
  kind: 'local' | 'agent'
  endpoint: string | null
}

/** A connector with the sockets behind it; `close` ends them, and what is under way on them. */
export type Connection = ServerConnector & { close(): Promise<void> }

/**
 * The one place that knows how each kind of server is reached. Whoever asks keeps the connection, and closes it when
 * the server moves or is revoked: the allow-list is read when a connection is made.
 */
export function createConnectorFactory(options: {
  /** The node of this process. */
  operations: NodeOperations
  secureContext: () => SecureContext
  isAllowed: (spkiHash: string, serverId: number) => boolean
  runtime: Pick<Runtime, 'alarm' | 'sleep' | 'randomBytes'>
  log: Log
  /** After how long a silent stream counts as broken, ms. */
  streamSilenceMs?: number
}): (server: Reachable) => Connection {
  const { operations, secureContext, isAllowed, runtime, log } = options
  return ({ id, kind, endpoint }) => {
    if (kind === 'local') {
      return withClose(createLocalConnector(operations, { log, runtime }), async () => undefined)
    }
    if (endpoint === null) fail('SERVER_NOT_JOINED')
    const way = { endpoint, serverId: id, secureContext, isAllowed }
    return connectAgent(way, runtime, options.streamSilenceMs)
  }
}

/** The way to an agent's door. `streamSilenceMs`: after how long a silent stream counts as broken. */
export function connectAgent(
  way: DirectTransport,
  runtime: Pick<Runtime, 'alarm' | 'sleep' | 'randomBytes'>,
  streamSilenceMs?: number,
): Connection {
  const dispatcher = directDispatcher(way)
  const streams = streamDispatcher(way, streamSilenceMs)
  const files = fileDispatcher(way)
  const connector = createRemoteConnector({ endpoint: way.endpoint, dispatcher, streams, files, runtime })
  return withClose(connector, async () => {
    await Promise.all([dispatcher.destroy(), streams.destroy(), files.destroy()])
  })
}

function withClose(connector: ServerConnector, close: () => Promise<void>): Connection {
  return { ...connector, close }
}
