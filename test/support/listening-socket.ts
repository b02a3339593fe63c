import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

/** How /proc/net writes the state of a TCP socket that listens. */
const LISTENS = '0A'

/**
 * Names the sockets of a process that listen on a port, by their inodes: the same ones as long as nobody closes and
 * opens them again.
 */
export function listeningSockets(pid: number, port: number): string[] {
  const own = inodesOf(pid)
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) => {
    const rows = readFileSync(`/proc/net/${table}`, 'utf8').trim().split('\n').slice(1)
    return rows
      .map((row) => row.trim().split(/\s+/))
      .filter(([, local = '', remote = '', state, ...more]) => {
        if (!local.endsWith(`:${hexPort}`) || !own.has(more[5] ?? '')) return false
        return table.startsWith('tcp') ? state === LISTENS : remote.endsWith(':0000')
      })
      .map((fields) => `${table} ${fields[9]}`)
  })
}

function inodesOf(pid: number): Set<string> {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`)
    } catch {
      // Closed since the list was made.
      return ''
    }
  })
  return new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? ''))
}
