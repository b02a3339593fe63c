import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { connect } from 'node:net'

/** Sends a GET through a SOCKS5 proxy (RFC 1928, no authentication). Rejects when the proxy's far end gives up. */
export async function getThroughSocks(
  socksPort: number,
  url: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url)
  const socket = await openSocks(socksPort, hostname.replace(/^\[|\]$/g, ''), Number(port || 80), signal)
  return new Promise((resolve, reject) => {
    const sent = request(url, { createConnection: () => socket, signal }, resolve)
    sent.once('error', reject)
    sent.end()
  })
}

/** Connects to a host through a SOCKS5 proxy. */
export async function openSocks(
  socksPort: number,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: socksPort })
  socket.on('error', () => undefined)
  try {
    await once(socket, 'connect', { signal })
    socket.write(Buffer.from([5, 1, 0]))
    const choice = await readExactly(socket, 2, signal)
    if (choice[1] !== 0) throw new Error('the proxy wants authentication')
    const name = Buffer.from(host)
    // The host as a name, whatever it is: the proxy finds out that it is an address.
    socket.write(
      Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([port >> 8, port & 255])]),
    )
    const [, status, , kind] = await readExactly(socket, 4, signal)
    if (status !== 0) throw new Error(`the proxy answered ${status}`)
    await readExactly(socket, (kind === 4 ? 16 : 4) + 2, signal)
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

async function readExactly(socket: Socket, size: number, signal: AbortSignal): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(size) as Buffer | null
    if (bytes !== null && bytes.length === size) return bytes
    if (socket.readableEnded || socket.destroyed) throw new Error('the proxy closed the connection')
    const ended = new AbortController()
    await Promise.race([
      once(socket, 'readable', { signal: AbortSignal.any([signal, ended.signal]) }),
      once(socket, 'close', { signal: AbortSignal.any([signal, ended.signal]) }),
    ]).finally(() => ended.abort())
  }
}
