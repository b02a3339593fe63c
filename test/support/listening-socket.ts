import { readFileSync } from 'node:fs'

/** How /proc/net writes the state of a TCP socket that listens. */
const LISTENS = '0A'

/**
 * Names the sockets of this machine that listen on a port, by their inodes: the same ones as long as nobody closes and
 * opens them again.
 */
export function listeningSockets(port: number): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) => {
    const rows = readFileSync(`/proc/net/${table}`, 'utf8').trim().split('\n').slice(1)
    return rows
      .map((row) => row.trim().split(/\s+/))
      .filter(([, local = '', remote = '', state]) =>
        table.startsWith('tcp')
          ? local.endsWith(`:${hexPort}`) && state === LISTENS
          : local.endsWith(`:${hexPort}`) && remote.endsWith(':0000'),
      )
      .map((fields) => `${table} ${fields[9]}`)
  })
}
