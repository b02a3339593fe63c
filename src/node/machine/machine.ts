/** What this machine is and how busy it is, read from /proc: 0.1 ms, where a library takes tens. */
import { existsSync, readFileSync } from 'node:fs'
import { readFile, statfs } from 'node:fs/promises'
import os from 'node:os'
import type { SystemStats } from '#src/contract/index.ts'
import type { Runtime } from '#src/runtime.ts'
import { createSocketCounter } from '#src/xray/sockets/sockets.ts'
import {
  type CpuTimes,
  type NetworkBytes,
  parseCpu,
  parseMemory,
  parseNetwork,
  parseOpenSockets,
  parseTcpConnections,
} from './proc-figures.ts'
import { publicAddresses } from './public-address.ts'
import type { MachineUptime } from '../rows/settings.ts'

/** A processor or network is measured over at least this, ms: in less, a reading would measure itself. */
const LEAST_MS = 100
/** A reading older than this, ms, says nothing of now: who comes back after a day wants today's load. */
const STALE_MS = 60_000

interface Reading {
  at: number
  cpu: CpuTimes
  network: NetworkBytes
}

interface Rates {
  /** Percent. */
  cpu: number
  /** Bytes a second. */
  receiving: number
  sending: number
}

export interface MachineDeps {
  /** A folder of the disk that is looked at. */
  dir: string
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>
  /** The Xray that runs; null when none does. */
  xray: () => { pid: number; startedAt: string } | null
  /** How this machine is reached, as it is configured. */
  publicAddress: string | undefined
}

/** Reads this machine's load. What is measured between two calls needs one reader, which keeps the reading before. */
export function createMachine({ dir, runtime, xray, publicAddress }: MachineDeps) {
  const countSockets = createSocketCounter()
  let last: Reading | null = null
  let rates: Rates = { cpu: 0, receiving: 0, sending: 0 }
  let measuring: Promise<Rates> | null = null

  const read = (): Reading => ({
    at: runtime.monotonic(),
    cpu: parseCpu(proc('stat')),
    network: networkBytes(),
  })

  async function measure(): Promise<Rates> {
    let before = last
    if (before !== null && runtime.monotonic() - before.at < LEAST_MS) return rates
    if (before === null || runtime.monotonic() - before.at > STALE_MS) {
      before = read()
      await runtime.sleep(LEAST_MS)
    }
    last = read()
    rates = ratesBetween(before, last)
    return rates
  }

  return {
    async stats(): Promise<SystemStats> {
      // Callers at one time share a measurement: the second would find no time between.
      measuring ??= measure().finally(() => {
        measuring = null
      })
      const running = xray()
      const [{ cpu, receiving, sending }, disk, sockets] = await Promise.all([
        measuring,
        statfs(dir),
        running === null ? null : countSockets(running),
      ])
      const [one = 0, five = 0, fifteen = 0] = os.loadavg()
      return {
        cpu,
        cores: os.availableParallelism(),
        ...parseMemory(proc('meminfo')),
        disk: { total: disk.blocks * disk.bsize, used: (disk.blocks - disk.bavail) * disk.bsize },
        network: { ...networkBytes(), receiving, sending },
        connections: {
          tcp: parseTcpConnections(proc('net/snmp')),
          udp:
            parseOpenSockets(proc('net/sockstat'), 'UDP') + parseOpenSockets(proc('net/sockstat6'), 'UDP6'),
          xray: sockets,
        },
        publicAddress: publicAddresses(os.networkInterfaces(), publicAddress),
        load: [one, five, fifteen],
        uptime: os.uptime(),
      }
    },
  }
}

const networkBytes = (): NetworkBytes =>
  parseNetwork(proc('net/dev'), (name) => existsSync(`/sys/class/net/${name}/device`))

/** What happened between two readings, by the time between them. */
function ratesBetween(before: Reading, now: Reading): Rates {
  const total = now.cpu.total - before.cpu.total
  const seconds = (now.at - before.at) / 1000
  // Counters shrink when an interface goes.
  const speed = (direction: keyof NetworkBytes): number =>
    seconds <= 0 ? 0 : Math.round(Math.max(0, now.network[direction] - before.network[direction]) / seconds)
  return {
    cpu: total <= 0 ? 0 : Math.min(100, Math.round(((now.cpu.busy - before.cpu.busy) / total) * 1000) / 10),
    receiving: speed('received'),
    sending: speed('sent'),
  }
}

/** A file of /proc; empty where this kernel has none. Read at once: no disk is behind it, and waiting costs ten times as much. */
function proc(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, 'utf8')
  } catch {
    return ''
  }
}

/** How long this machine has been running, since which of its starts; null where its kernel does not say. */
export function machineUptime(): MachineUptime | null {
  const boot = proc('sys/kernel/random/boot_id').trim()
  const [seconds = ''] = proc('uptime').split(' ')
  return boot === '' || seconds === '' ? null : { boot, ms: Number(seconds) * 1000 }
}

/** The distribution's own name, as /etc/os-release tells it. */
export async function osName(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^PRETTY_NAME="?(.*?)"?$/m.exec(release)?.[1] ?? os.type()
}
