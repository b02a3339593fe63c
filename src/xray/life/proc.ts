import { readFileSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'

/**
 * One process, unmistakably: pids are reused, also after a reboot, so the start time and the boot go with it.
 */
export interface ProcessIdentity {
  pid: number
  /** Clock ticks between the machine's start and this process's, field 22 of /proc/<pid>/stat (proc(5)). */
  startTime: string
  /** /proc/sys/kernel/random/boot_id: another one after every boot. */
  bootId: string
  /** The file it runs, as /proc/<pid>/exe has it. */
  executable: string
}

/** The identity of a living process; null when there is none of this pid or it is only waiting to be reaped. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  try {
    const [stat, executable, bootId] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readlink(`/proc/${pid}/exe`),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ])
    const { state, startTime } = parseStat(stat)
    if (!isAlive(state)) return null
    return { pid, startTime, bootId: bootId.trim(), executable: withoutDeletedMark(executable) }
  } catch {
    return null
  }
}

/** Whether exactly this process still lives. A zombie does not: it carries no traffic and frees its ports. */
export async function isStillRunning({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  try {
    // At once: no disk is behind it, and every change asks. By turns it takes half of a millisecond.
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    return isAlive(stat.state) && stat.startTime === startTime
  } catch {
    return false
  }
}

/** Living processes that were started with exactly these last arguments. */
export async function findByArguments(args: readonly string[]): Promise<ProcessIdentity[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const suffix = args.map((arg) => `\0${arg}`).join('') + '\0'
  const found = await Promise.all(
    pids.map(async (pid) => {
      const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      return commandLine.endsWith(suffix) ? identify(pid) : null
    }),
  )
  return found.filter((identity) => identity !== null)
}

/** State and start time from /proc/<pid>/stat. The name before them may hold spaces and brackets. */
export function parseStat(stat: string): { state: string; startTime: string } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? 'X', startTime: fields[19] ?? '' }
}

function isAlive(state: string): boolean {
  return state !== 'Z' && state !== 'X' && state !== 'x'
}

// A program that was replaced on disk while it runs, as an update does, is marked so by the kernel.
function withoutDeletedMark(path: string): string {
  return path.replace(/ \(deleted\)$/, '')
}

/** Names one life of a process. */
export function lifeOf({ bootId, pid, startTime }: ProcessIdentity): string {
  return `${bootId}:${pid}:${startTime}`
}
