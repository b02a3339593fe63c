/** Where single connections cannot be cut, all of them can: at an hour when that disturbs few. */
import type { Log } from '#src/log.ts'

/** From four to five in the morning, by the machine's time zone. */
const QUIET_HOUR = 4
/** Once in such an hour is enough. */
const APART_MS = 2 * 60 * 60 * 1000

export interface QuietRestartDeps {
  /** Names of who is connected now, as Xray knows them. */
  connected: () => Promise<string[]>
  mayStay: (name: string) => boolean
  /** Ends all connections there are. */
  restart: () => Promise<void>
  now: () => number
  log: Log
}

export function createQuietRestart({ connected, mayStay, restart, now, log }: QuietRestartDeps) {
  let restartedAt: number | null = null

  return {
    /** Restarts Xray if the hour is quiet and somebody is connected who may not be. Never rejects. */
    async run(): Promise<void> {
      const time = now()
      if (new Date(time).getHours() !== QUIET_HOUR) return
      if (restartedAt !== null && Math.abs(time - restartedAt) < APART_MS) return
      try {
        const strangers = (await connected()).filter((name) => !mayStay(name))
        if (strangers.length === 0) return
        restartedAt = time
        log.info(
          { strangers: strangers.length },
          'Xray is restarted, to end connections of clients who are refused',
        )
        await restart()
      } catch (error) {
        log.warn({ error }, 'connections of clients who are refused could not be ended')
      }
    },
  }
}
