import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { connect } from 'node:net'

export interface SocksOptions {
  /** Whom the proxy is told it serves, by name and password (RFC 1929). Left out, it is not told. */
  user?: string
  password?: string
  /** Where the proxy is told to connect, instead of the host of the address. */
  host?: string
}

/** Sends a GET through a SOCKS5 proxy (RFC 1928). Rejects when the proxy's far end gives up. */
export async function getThroughSocks(
  socksPort: number,
  url: string,
  signal: AbortSignal,
  options: SocksOptions = {},
): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url)
  const host = options.host ?? hostname.replace(/^\[|\]$/g, '')
  const socket = await openSocks(socksPort, host, Number(port || 80), signal, options)
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
  { user, password = '' }: SocksOptions = {},
): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: socksPort })
  socket.on('error', () => undefined)
  try {
    await once(socket, 'connect', { signal })
    socket.write(Buffer.from([5, 1, user === undefined ? 0 : 2]))
    const choice = await readExactly(socket, 2, signal)
    if (choice[1] !== (user === undefined ? 0 : 2)) throw new Error('the proxy wants another authentication')
    if (user !== undefined) {
      socket.write(Buffer.concat([Buffer.from([1]), counted(user), counted(password)]))
      const answer = await readExactly(socket, 2, signal)
      if (answer[1] !== 0) throw new Error('the proxy does not know this user')
    }
    // The host as a name, whatever it is: the proxy finds out that it is an address.
    socket.write(
      Buffer.concat([Buffer.from([5, 1, 0, 3]), counted(host), Buffer.from([port >> 8, port & 255])]),
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

/** A text with its length in front. */
function counted(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
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
