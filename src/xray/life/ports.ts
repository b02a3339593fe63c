import { createSocket } from 'node:dgram'
import { createServer, isIPv6 } from 'node:net'
import type { Network } from '../config/streams.ts'

/** What the system says of a port, in words. */
export const problems = {
  EADDRINUSE: 'another program uses it',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not use it',
} as const

/**
 * Why a port cannot be listened on now, in words; null when it can. Xray itself would share a port with another Xray
 * silently, and leave half an inbound behind when the port is another program's.
 */
export function portProblem(listen: string, port: number, network: Network = 'tcp'): Promise<string | null> {
  return new Promise((resolve) => {
    const inWords = (error: NodeJS.ErrnoException): void => {
      const code = (error.code ?? '') as keyof typeof problems
      resolve(problems[code] ?? error.message)
    }
    if (network === 'tcp') {
      const server = createServer()
      server.once('error', inWords)
      server.listen({ host: listen, port, exclusive: true }, () => server.close(() => resolve(null)))
      return
    }
    const socket = createSocket(isIPv6(listen) ? 'udp6' : 'udp4')
    socket.once('error', (error) => {
      socket.close()
      inWords(error)
    })
    socket.bind({ address: listen, port, exclusive: true }, () => socket.close(() => resolve(null)))
  })
}

/** Whether a port can be listened on now, on all of these networks. */
export async function isPortFree(
  listen: string,
  port: number,
  networks: readonly Network[] = ['tcp'],
): Promise<boolean> {
  const found = await Promise.all(networks.map((network) => portProblem(listen, port, network)))
  return found.every((problem) => problem === null)
}
