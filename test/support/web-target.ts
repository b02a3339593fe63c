import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A website on loopback, for traffic to go to. */
export interface WebTarget {
  origin: string
  /** A small page. */
  pageUrl: string
  /** What the page says. */
  pageText: string
  /** The paths that were asked for, as they came. */
  asked: string[]
  /** A page that says from which IP address it was asked for. */
  fromUrl: string
  /** The address of a download of `bytes`, sent at `rate` bytes a second. */
  downloadUrl(size: { bytes: number; rate: number }): string
  stop(): Promise<void>
}

// How often a slow download sends a piece.
const pieceEveryMs = 50

export async function startWebTarget(host = '127.0.0.1'): Promise<WebTarget> {
  const pageText = `hello from the other side ${'.'.repeat(2_000)}`
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const url = new URL(request.url ?? '/', 'http://target')
    if (url.pathname === '/from') {
      response.end(request.socket.remoteAddress)
      return
    }
    if (url.pathname !== '/download') {
      response.end(pageText)
      return
    }
    let left = Number(url.searchParams.get('bytes'))
    const piece = Math.ceil((Number(url.searchParams.get('rate')) * pieceEveryMs) / 1000)
    response.writeHead(200, { 'content-length': left })
    const timer = setInterval(() => {
      response.write(Buffer.alloc(Math.min(piece, left), 'x'))
      left -= piece
      if (left > 0) return
      clearInterval(timer)
      response.end()
    }, pieceEveryMs)
    response.once('close', () => clearInterval(timer))
  })
  server.listen(0, host)
  await once(server, 'listening')
  const origin = `http://${host}:${(server.address() as AddressInfo).port}`
  return {
    origin,
    pageUrl: `${origin}/`,
    pageText,
    asked,
    fromUrl: `${origin}/from`,
    downloadUrl: ({ bytes, rate }) => `${origin}/download?bytes=${bytes}&rate=${rate}`,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
