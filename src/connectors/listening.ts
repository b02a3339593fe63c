import type { AddressInfo, Server, Socket } from 'node:net'
import { FleetError } from '#src/errors.ts'
import { type Address, formatAddress } from '#src/trust/address.ts'

export interface Listening {
  host: string
  /** The one it got, where 0 was asked for. */
  port: number
  /** Ends every connection, also those still shaking hands, and frees the port. */
  close(): Promise<void>
}

const reasons: Record<string, string> = {
  EADDRINUSE: 'another program listens there',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not use that port',
}

/**
 * Begins to listen.
 * @throws FleetError ADDRESS_TAKEN
 */
export async function listen(server: Server, at: Address): Promise<Listening> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const reason = reasons[error.code ?? ''] ?? error.message
      reject(new FleetError('ADDRESS_TAKEN', { address: formatAddress(at), reason }, { cause: error }))
    }
    server.once('error', onError)
    server.listen(at.port, at.host, () => {
      server.off('error', onError)
      resolve()
    })
  })
  const { port } = server.address() as AddressInfo
  return {
    host: at.host,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
