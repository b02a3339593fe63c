import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer as createProxy } from 'node:http'
import { createServer as createSite } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Download } from '#src/xray/programs/download.ts'
import { makeTestChain } from './test-chain.ts'
import { tunnel } from './tunnel.ts'

const PUBLISHER = 'github.com'
/** Where a publisher's files really lie: it answers with their address. */
const STORE = 'release-assets.githubusercontent.com'

/** The part of the internet that programs download from, on loopback, over real TLS, behind a proxy. */
export interface Internet {
  /** What leads a program there instead of to the real one. */
  env: Record<string, string>
  stop(): Promise<void>
}

/** @param dir where the certificate is put that vouches for it @param download what is published there */
export async function startInternet(dir: string, download: Download): Promise<Internet> {
  const chain = await makeTestChain({ names: [PUBLISHER, STORE].map((value) => ({ type: 'dns', value })) })
  const vouching = join(dir, 'internet.pem')
  await writeFile(vouching, chain.issuers.join(''))
  const site = createSite(
    { cert: [chain.leaf, ...chain.issuers].join(''), key: chain.key },
    (asked, answer) => {
      const { host = '' } = asked.headers
      if (host === PUBLISHER) {
        answer.writeHead(302, { location: `https://${STORE}${asked.url ?? ''}` }).end()
        return
      }
      download(`https://${PUBLISHER}${asked.url ?? ''}`).then(
        (bytes) => answer.end(bytes),
        () => answer.writeHead(404).end(),
      )
    },
  )
  const open = new Set<Socket>()
  const proxy = createProxy((_, answer) => void answer.writeHead(405).end())
  proxy.on('connect', (asked, near: Socket) => {
    if (asked.url !== `${PUBLISHER}:443` && asked.url !== `${STORE}:443`) {
      near.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    const far = connect(portOf(site), '127.0.0.1', () => near.write('HTTP/1.1 200 OK\r\n\r\n'))
    tunnel(near, far, open)
  })
  for (const server of [site, proxy]) await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    env: { HTTPS_PROXY: `http://127.0.0.1:${portOf(proxy)}`, NODE_EXTRA_CA_CERTS: vouching },
    async stop() {
      const ended = [site, proxy].map((server) => once(server.close(), 'close'))
      for (const socket of open) socket.destroy()
      await Promise.all(ended)
    },
  }
}

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port
