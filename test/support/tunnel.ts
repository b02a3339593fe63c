import type { Socket } from 'node:net'

/** Passes on what either side says, and the end of either. @param open of all tunnels, to be ended with the server */
export function tunnel(near: Socket, far: Socket, open: Set<Socket>): void {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    open.add(from)
    from.on('error', () => to.destroy()).once('close', () => open.delete(from))
    from.pipe(to)
  }
}
