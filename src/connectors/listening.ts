import type { Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

export interface Listening {
  host: string
  /** The one it got, where 0 was asked for. */
  port: number
  /** Ends every connection, also those still shaking hands, and frees the port. */
  close(): Promise<void>
}

/** Begins to listen. Rejects with the system's error, such as EADDRINUSE. */
export async function listen(server: Server, at: { host: string; port: number }): Promise<Listening> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(at.port, at.host, () => {
      server.off('error', reject)
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
