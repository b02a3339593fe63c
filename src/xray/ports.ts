import { createServer } from 'node:net'

/** What the system says of a port, in words. */
export const problems = {
  EADDRINUSE: 'another program uses it',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not use it',
} as const

/**
 * Why a TCP port cannot be listened on now, in words; null when it can. Xray itself would share a port with another
 * Xray silently, and leave half an inbound behind when the port is another program's.
 */
export function portProblem(listen: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      const code = (error.code ?? '') as keyof typeof problems
      resolve(problems[code] ?? error.message)
    })
    server.listen({ host: listen, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

/** Whether a TCP port can be listened on now. */
export async function isPortFree(listen: string, port: number): Promise<boolean> {
  return (await portProblem(listen, port)) === null
}
