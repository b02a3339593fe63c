/** What this machine is and how busy it is, read from /proc: 0.1 ms, where a library takes tens. */
import { open, readFile, statfs } from 'node:fs/promises'
import os from 'node:os'
import type { SystemStats } from '#src/contract/index.ts'

/** A log's tail is read in one piece: a thousand long lines fit. */
const TAIL_BYTES = 512 * 1024

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

/** /proc/net/dev: bytes of every interface but loopback. */
export function parseNetwork(dev: string): SystemStats['network'] {
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

/** Reads this machine's load. CPU is measured between two calls, so one reader keeps the reading before. */
export function createMachine(dir: string, sleep: (ms: number) => Promise<void>) {
  let last: CpuTimes | null = null

  const readCpu = async (): Promise<CpuTimes> => parseCpu(await readFile('/proc/stat', 'utf8'))

  async function cpuPercent(): Promise<number> {
    if (last === null) {
      last = await readCpu()
      // Too short a time would measure this reading itself.
      await sleep(100)
    }
    const before = last
    last = await readCpu()
    const total = last.total - before.total
    return total <= 0 ? 0 : Math.min(100, Math.round(((last.busy - before.busy) / total) * 1000) / 10)
  }

  return {
    async stats(): Promise<SystemStats> {
      const [cpu, meminfo, dev, disk] = await Promise.all([
        cpuPercent(),
        readFile('/proc/meminfo', 'utf8'),
        readFile('/proc/net/dev', 'utf8'),
        statfs(dir),
      ])
      const [one = 0, five = 0, fifteen = 0] = os.loadavg()
      return {
        cpu,
        cores: os.availableParallelism(),
        ...parseMemory(meminfo),
        disk: { total: disk.blocks * disk.bsize, used: (disk.blocks - disk.bavail) * disk.bsize },
        network: parseNetwork(dev),
        load: [one, five, fifteen],
        uptime: os.uptime(),
      }
    },
  }
}

/** The distribution's own name, as /etc/os-release tells it. */
export async function osName(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^PRETTY_NAME="?(.*?)"?$/m.exec(release)?.[1] ?? os.type()
}

/** The last lines of a file, oldest first; none when there is no such file. */
export async function tail(file: string, lines: number): Promise<string[]> {
  const handle = await open(file).catch(() => null)
  if (handle === null) return []
  try {
    const { size } = await handle.stat()
    const length = Math.min(size, TAIL_BYTES)
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length)
    const all = buffer.toString('utf8').split('\n')
    // The first line of a cut piece is a torn one.
    if (length < size) all.shift()
    if (all.at(-1) === '') all.pop()
    return all.slice(-lines)
  } finally {
    await handle.close()
  }
}
