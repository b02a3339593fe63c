import type { ServerConnector } from '#src/contract/index.ts'
import type { Log } from '#src/log.ts'
import type { Server } from './types.ts'

/** A connector with, where there are any, the sockets behind it. A plain object: see connectors/factory. */
export type Connection = ServerConnector & { close?(): void | Promise<void> }

export type Connections = ReturnType<typeof createConnections>

/** One connection per server, made when first needed and kept warm. */
export function createConnections(deps: { connect(server: Server): Connection; log: Log }) {
  const open = new Map<number, Connection>()

  async function close(serverId: number, connection: Connection): Promise<void> {
    try {
      await connection.close?.()
    } catch (error) {
      deps.log.warn({ server: serverId, err: error }, 'a connection did not close')
    }
  }

  return {
    to(server: Server): ServerConnector {
      const there = open.get(server.id)
      if (there !== undefined) return there
      const connection = deps.connect(server)
      open.set(server.id, connection)
      return connection
    },

    /** The server has moved, or must not be reached any more: the next call makes a new connection. */
    async drop(serverId: number): Promise<void> {
      const connection = open.get(serverId)
      open.delete(serverId)
      if (connection !== undefined) await close(serverId, connection)
    },

    async closeAll(): Promise<void> {
      const all = [...open]
      open.clear()
      await Promise.all(all.map(([serverId, connection]) => close(serverId, connection)))
    },
  }
}
