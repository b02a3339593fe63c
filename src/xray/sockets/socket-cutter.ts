/** Ends single TCP connections of this machine, where its kernel and our rights allow that: by the system's `ss -K`. */
import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import type { Runtime } from '#src/runtime.ts'
import { findSystemProgram, runSystemProgram } from './system-program.ts'

/** One connection: the port it came in at, and where it comes from. */
export interface Connection {
  localPort: number
  /** IPv6 without brackets. */
  address: string
  port: number
}

export interface SocketCutter {
  /** Ends these, whoever they belong to. Those that are gone already are passed over. Returns how many it ended. */
  cut(connections: readonly Connection[]): Promise<number>
  /** Where the connections come from that stand at these ports, as `placeOf`. */
  standing(localPorts: readonly number[]): Promise<Set<string>>
}

export function placeOf({ address, port }: { address: string; port: number }): string {
  return `${address}:${port}`
}

/** As many as fit into one command. */
const AT_ONCE = 100

/** @returns null where connections cannot be ended: no `ss`, a kernel without INET_DIAG_DESTROY, no CAP_NET_ADMIN */
export async function createSocketCutter(runtime: Pick<Runtime, 'sleep'>): Promise<SocketCutter | null> {
  const ss = await findSystemProgram('ss')
  if (ss === null) return null
  const cutter = cutterWith(ss)
  // Neither the kernel's version nor our rights tell for certain, so one of our own is ended.
  return (await endsConnections(cutter, runtime)) ? cutter : null
}

function cutterWith(ss: string): SocketCutter {
  return {
    async cut(connections) {
      let ended = 0
      for (let first = 0; first < connections.length; first += AT_ONCE) {
        const filter = anyOf(connections.slice(first, first + AT_ONCE).map(filterOf))
        const output = await runSystemProgram(ss, ['-K', '-H', '-t', '-n', filter])
        ended += output.split('\n').filter((line) => line.trim() !== '').length
      }
      return ended
    },

    async standing(localPorts) {
      if (localPorts.length === 0) return new Set()
      const filter = anyOf(localPorts.map((port) => `sport = :${port}`))
      const output = await runSystemProgram(ss, ['-H', '-t', '-n', filter])
      return new Set(output.split('\n').flatMap((line) => peerOf(line) ?? []))
    },
  }
}

const anyOf = (filters: string[]): string => `( ${filters.join(' or ')} )`

function filterOf({ localPort, address, port }: Connection): string {
  const host = address.includes(':') ? `[${address}]` : address
  return `( sport = :${localPort} and dst ${host} and dport = :${port} )`
}

/** `ESTAB 0 0 [::ffff:192.0.2.1]:443 [::ffff:198.51.100.7]:50123` → `198.51.100.7:50123` */
function peerOf(line: string): string | null {
  const [, address, port] = /\s\[?([0-9a-f:.]+)\]?:(\d+)\s*$/.exec(line) ?? []
  return address === undefined
    ? null
    : placeOf({ address: address.replace(/^::ffff:/, ''), port: Number(port) })
}

const trialMs = 2_000

async function endsConnections(cutter: SocketCutter, runtime: Pick<Runtime, 'sleep'>): Promise<boolean> {
  const server = createServer()
  const over = new AbortController()
  let there: Socket | undefined
  try {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const localPort = (server.address() as AddressInfo).port
    there = connect(localPort, '127.0.0.1')
    const [here] = (await once(server, 'connection')) as [Socket]
    for (const end of [here, there]) end.on('error', () => undefined)
    const { remotePort } = here
    if (remotePort === undefined) return false
    // Not by `once`, which takes the error it ends with for its own.
    const closed = new Promise<true>((resolve) => here.once('close', () => resolve(true)))
    const ended = await cutter.cut([{ localPort, address: '127.0.0.1', port: remotePort }])
    // Most services may not: their start does not wait for what will not come.
    if (ended === 0) return false
    return await Promise.race([closed, runtime.sleep(trialMs, over.signal).then(() => false)])
  } catch {
    return false
  } finally {
    over.abort()
    there?.destroy()
    server.close()
  }
}
