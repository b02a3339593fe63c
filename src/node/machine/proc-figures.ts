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

/** What a machine makes for itself: loopback, bridges and their ends, copies of what came in elsewhere. */
const inner =
  /^(lo|docker\d*|veth.*|br-.*|virbr.*|cni.*|flannel.*|cali.*|ifb\d+|dummy\d+|tun\d+|tap\d+|wg\d+)$/

/**
 * /proc/net/dev: bytes of the cards, since what goes through a bridge, a bond, a VLAN or a tunnel goes through a card
 * too. A container has none: then of whatever is not plainly its own making.
 * @param isCard whether there is a device behind an interface
 */
export function parseNetwork(dev: string, isCard: (name: string) => boolean): NetworkBytes {
  const interfaces = dev.split('\n').flatMap((line) => {
    const [name, values] = line.split(':')
    if (values === undefined || name === undefined) return []
    const fields = values.trim().split(/\s+/).map(Number)
    return [{ name: name.trim(), received: fields[0] ?? 0, sent: fields[8] ?? 0 }]
  })
  const cards = interfaces.filter(({ name }) => isCard(name))
  const counted = cards.length > 0 ? cards : interfaces.filter(({ name }) => !inner.test(name))
  return {
    received: counted.reduce((sum, { received }) => sum + received, 0),
    sent: counted.reduce((sum, { sent }) => sum + sent, 0),
  }
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
