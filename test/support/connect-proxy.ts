import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tunnel } from './tunnel.ts'

/** An HTTP proxy on loopback through which some places can be reached, and nothing else. */
export interface ConnectProxy {
  /** What leads a program through it. */
  env: Record<string, string>
  /** What it was asked for, host:port. */
  asked: string[]
  stop(): Promise<void>
}

/** @param places host:port to the port on loopback where that place is */
export async function startConnectProxy(places: Record<string, number>): Promise<ConnectProxy> {
  const open = new Set<Socket>()
  const asked: string[] = []
  const proxy = createServer((_, answer) => void answer.writeHead(405).end())
  proxy.on('connect', (request, near: Socket) => {
    const place = request.url ?? ''
    asked.push(place)
    const port = places[place]
    if (port === undefined) {
      near.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    const far = connect(port, '127.0.0.1', () => near.write('HTTP/1.1 200 OK\r\n\r\n'))
    tunnel(near, far, open)
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  return {
    env: { HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` },
    asked,
    async stop() {
      const ended = once(proxy.close(), 'close')
      for (const socket of open) socket.destroy()
      await ended
    },
  }
}
