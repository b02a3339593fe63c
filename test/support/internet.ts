import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Download } from '#src/xray/programs/download.ts'
import { startConnectProxy } from './connect-proxy.ts'
import { makeTestChain } from './test-chain.ts'

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
  const site = createServer(
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
  await once(site.listen(0, '127.0.0.1'), 'listening')
  const { port } = site.address() as AddressInfo
  const proxy = await startConnectProxy({ [`${PUBLISHER}:443`]: port, [`${STORE}:443`]: port })
  return {
    env: { ...proxy.env, NODE_EXTRA_CA_CERTS: vouching },
    async stop() {
      await proxy.stop()
      site.closeAllConnections()
      await once(site.close(), 'close')
    },
  }
}
