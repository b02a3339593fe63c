import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { makeTestChain } from './test-chain.ts'
import { tunnel } from './tunnel.ts'

/** TLS before a server that has none, as it is before most. Offers HTTP/2 too, which the server does not speak. */
export interface TlsFront {
  /** On loopback. */
  port: number
  /** What makes a program trust it. */
  env: Record<string, string>
  stop(): Promise<void>
}

/** @param dir where the certificate is put that vouches for it @param name of what it stands for @param url of the server */
export async function startTlsFront(dir: string, name: string, url: string): Promise<TlsFront> {
  const { hostname: host, port } = new URL(url)
  const chain = await makeTestChain({ names: [{ type: 'dns', value: name }] })
  const vouching = join(dir, 'front.pem')
  await writeFile(vouching, chain.issuers.join(''))
  const open = new Set<Socket>()
  const server = createServer(
    {
      cert: [chain.leaf, ...chain.issuers].join(''),
      key: chain.key,
      ALPNProtocols: ['h2', 'http/1.1'],
    },
    (near) => tunnel(near, connect({ host, port: Number(port) }), open),
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    env: { NODE_EXTRA_CA_CERTS: vouching },
    async stop() {
      const closed = once(server.close(), 'close')
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
