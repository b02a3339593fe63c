/**
 * Our own start has failed, the database being broken, say. After a reboot Xray would not run either, though its last
 * configuration lies on the disk and is good: clients must not be made to wait for whoever mends the rest.
 */
import { readFile } from 'node:fs/promises'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import { holdPipe } from '#src/xray/sockets/access-pipe.ts'
import { lastProgram } from '#src/xray/life/pid-file.ts'
import { findByArguments } from '#src/xray/life/proc.ts'
import { createXrayProcess, xrayArguments, xrayPaths } from '#src/xray/life/process.ts'
import { fixedProgram, isProgram } from '#src/xray/programs/program.ts'

export interface LastResort {
  /** Xray's folder. */
  dir: string
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>
  log: Log
  /** Any Xray, where the last one is gone or unknown. */
  findProgram: () => Promise<string>
}

/**
 * Starts Xray with its last configuration and the program it last ran, unless it runs, or was stopped on purpose, and
 * lets go of it. What runs is left alone: it may be another's. Never rejects.
 */
export async function serveWithoutUs({ dir, runtime, log, findProgram }: LastResort): Promise<void> {
  try {
    // It goes when Xray is stopped on purpose.
    const remembered = await readFile(xrayPaths(dir).pid, 'utf8').catch(() => null)
    if (remembered === null || (await findByArguments(xrayArguments(dir))).length > 0) return
    const last = lastProgram(remembered)
    const program = last !== null && (await isProgram(last)) ? last : await findProgram()
    const xray = createXrayProcess({ program: fixedProgram(program), dir, runtime, log })
    const pipe = await holdPipe(xrayPaths(dir).access)
    try {
      await xray.startAsIs()
      log.warn({ pid: xray.state().pid }, 'Xray serves with its last configuration')
    } finally {
      await xray.detach()
      pipe.close()
    }
  } catch (error) {
    log.error({ error }, 'Xray could not be started with its last configuration')
  }
}
