import { join } from 'node:path'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { HeldBack } from './held-back.ts'
import type { XrayProgram } from '../programs/program.ts'

export interface XrayProcessOptions {
  /** What is run, asked for at every start. */
  program: () => XrayProgram
  /** Holds everything of this one Xray; nothing else may use it. See `xrayPaths`. */
  dir: string
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>
  log: Log
}

/** What has become of Xray. Two of the same in a row may come: it was restarted, or asked for in vain once more. */
export type XrayChange =
  /** It runs, and answers. */
  | { type: 'up'; pid: number; lastError: string | null }
  | {
      type: 'down'
      /** How it ended or why it does not start, in words. */
      reason: string
      /** When the next attempt to start it comes, ms from now; null: none comes, it was stopped. */
      restartInMs: number | null
    }

export interface XrayState {
  running: boolean
  pid: number | null
  /** Names one life of Xray: counters belong to it and begin at zero with the next. null when not running. */
  startedAt: string | null
  /** Why it is not running, or not running what it should; null when all is well. */
  lastError: string | null
  /** It runs an older configuration than it should, since that was refused at start, or could not even be made. */
  onPreviousConfig: boolean
  /** Inbounds of its configuration that it runs without: their ports cannot be had, or it has ended of them. */
  heldBack: readonly HeldBack[]
}

/**
 * The one Xray of a folder: started so that it outlives us, found again when we come back, restarted when it dies.
 * Calls are carried out one after the other.
 */
export interface XrayProcess {
  /** From now on this listener is told what becomes of Xray, in order. */
  watch(listener: (change: XrayChange) => void): void
  /** What the configuration is made from at every start to come, those after a crash included. */
  setRender(render: () => object): void
  /** What is done directly before a running Xray is ended on purpose, as to read what goes with it. Must not reject. */
  setLastAct(act: () => Promise<void>): void
  /**
   * Writes the configuration and starts Xray; resolves when every inbound is open whose port can be had, at once if it
   * runs already. When that cannot be, the configuration before is started instead, and failing that attempts go on in
   * the background until `stop`; either way the call rejects with the reason, such as XRAY_REFUSED, and `state()` tells.
   */
  start(render: () => object): Promise<void>
  /** Starts Xray with its file as it is, unless it runs: for when nobody can say what should be in it. Fails like `start`. */
  startAsIs(): Promise<void>
  /** Takes over the Xray that runs here, if its pid, start time and program fit and its API answers. */
  adopt(): Promise<boolean>
  /** Swaps the configuration file for the next start. What runs is not touched. */
  writeConfig(json: object): Promise<void>
  /** The same where only users differ: what is kept as the one before is then still another structure. */
  refreshConfig(json: object): Promise<void>
  /** The configuration file: what was written last, or what it fell back to. null: there is none. */
  readConfig(): Promise<object | null>
  /** Ends Xray and keeps it ended: SIGTERM, after 5 s SIGKILL, to exactly this process. */
  stop(): Promise<void>
  /** Ends it and starts it with a new configuration. Fails like `start`. */
  restart(render: () => object): Promise<void>
  state(): XrayState
  /**
   * Resolves when no start or end is under way, one after a crash included: what it began with may be older than what
   * is asked for by now, and only then `state()` tells whether it runs. Waits up to a minute for one that hangs.
   */
  settled(): Promise<void>
  /** After it did not answer: looks whether it is just ending, for 0.2 s. Resolves at once when its end is in `state()`. */
  noticeEnd(): Promise<void>
  /** Notes that it runs without an inbound. */
  holdBack(held: HeldBack): void
  /** Notes that an inbound was opened, or is not wanted any more. */
  release(tag: string): void
  /** Notes that it was told over its API what an older configuration lacked, and would start with the present one. */
  acceptConfig(): void
  /** Lets go of Xray without ending it: for the end of our own process. Calls under way are finished. */
  detach(): Promise<void>
}

/** What the Xray of a folder is started with, and known by. */
export function xrayArguments(dir: string): string[] {
  return ['run', '-c', xrayPaths(dir).config]
}

/** Where things lie in an Xray's folder. */
export function xrayPaths(
  dir: string,
): Record<'config' | 'previous' | 'pid' | 'socket' | 'output' | 'logDir' | 'log' | 'access', string> {
  return {
    config: join(dir, 'config.json'),
    previous: join(dir, 'config.prev.json'),
    pid: join(dir, 'xray.pid.json'),
    socket: join(dir, 'api.sock'),
    /** What it printed since its last start: its last words after a crash. */
    output: join(dir, 'xray.out.log'),
    logDir: join(dir, 'logs'),
    /** Xray's own log, as the configuration names it. */
    log: join(dir, 'logs', 'error.log'),
    /** The pipe it says through who is connected, where we want to know. */
    access: join(dir, 'access.pipe'),
  }
}
