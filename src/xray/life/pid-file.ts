import { readFile, rm } from 'node:fs/promises'
import { z } from 'zod'
import { writeFileAtomically } from '../atomic-file.ts'
import type { ProcessIdentity } from './proc.ts'
import { identify } from './proc.ts'

const content = z.object({
  pid: z.number().int().positive(),
  startTime: z.string().min(1),
  bootId: z.string().min(1),
  executable: z.string().min(1),
})

/** Remembers which process is ours for whoever comes after us. */
export interface PidFile {
  write(identity: ProcessIdentity): Promise<void>
  /** The process it names, if exactly that one still lives; null also for a file that is damaged or not there. */
  findLiving(): Promise<ProcessIdentity | null>
  remove(): Promise<void>
}

export function pidFile(path: string): PidFile {
  return {
    write: (identity) => writeFileAtomically(path, `${JSON.stringify(identity)}\n`),

    async findLiving() {
      const written = parse(await readFile(path, 'utf8').catch(() => ''))
      if (written === null) return null
      const living = await identify(written.pid)
      return living !== null && sameProcess(written, living) ? living : null
    },

    remove: () => rm(path, { force: true }),
  }
}

/** The program that a pid file names, whether it runs or not; null for a damaged file. */
export function lastProgram(text: string): string | null {
  return parse(text)?.executable ?? null
}

function parse(text: string): ProcessIdentity | null {
  try {
    return content.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

function sameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return (
    a.pid === b.pid && a.startTime === b.startTime && a.bootId === b.bootId && a.executable === b.executable
  )
}
