/** What single files of /proc say, as figures. Pure: the text goes in, so every kernel's way of writing can be tested. */
import type { SystemStats } from '#src/contract/index.ts'

export interface CpuTimes {
  busy: number
  total: number
}

/** The first line of /proc/stat, in clock ticks of all cores since the start. */
export function parseCpu(stat: string): CpuTimes {
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = (
    stat.split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .slice(1)
    .map(Number)
  const busy = user + nice + system + irq + softirq + steal
  return { busy, total: busy + idle + iowait }
}

/** Lines of /proc/meminfo, kB, as bytes. */
export function parseMemory(meminfo: string): { memory: SystemStats['memory']; swap: SystemStats['swap'] } {
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0) * 1024
  const total = field('MemTotal')
  const swapTotal = field('SwapTotal')
  return {
    memory: { total, used: total - field('MemAvailable') },
    swap: { total: swapTotal, used: swapTotal - field('SwapFree') },
  }
}

/** Bytes since the start. */
export interface NetworkBytes {
  received: number
  sent: number
}

/** /proc/net/dev: bytes of every interface but loopback. */
export function parseNetwork(dev: string): NetworkBytes {
  let received = 0
  let sent = 0
  for (const line of dev.split('\n')) {
    const [name, values] = line.split(':')
    if (values === undefined || name === undefined || name.trim() === 'lo') continue
    const fields = values.trim().split(/\s+/).map(Number)
    received += fields[0] ?? 0
    sent += fields[8] ?? 0
  }
  return { received, sent }
}

/**
 * /proc/net/snmp: TCP connections that stand, IPv4 and IPv6 together. The kernel keeps this count, so it costs the same
 * however many there are.
 */
export function parseTcpConnections(snmp: string): number {
  // Two lines, the names and their values: which column it is differs by kernel.
  const [names = [], values = []] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.trim().split(/\s+/))
  return Number(values[names.indexOf('CurrEstab')] ?? 0)
}

/** /proc/net/sockstat or sockstat6: sockets of this kind that are open, such as `UDP` or `UDP6`; none where it is unknown. */
export function parseOpenSockets(sockstat: string, kind: 'UDP' | 'UDP6'): number {
  return Number(new RegExp(`^${kind}: inuse (\\d+)`, 'm').exec(sockstat)?.[1] ?? 0)
}
