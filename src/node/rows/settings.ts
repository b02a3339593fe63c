import type { Sqlite } from '#src/store/open.ts'

/** How long a machine has been running, since which of its starts. */
export interface MachineUptime {
  boot: string
  ms: number
}

/** How far time had come, ms since the epoch. */
export interface NotedTime {
  time: number
  /** By the time that only grows while we run; null: noted by a version that knew none. */
  lived: number | null
  uptime: MachineUptime | null
}

export type Settings = ReturnType<typeof createSettings>

/** Small facts of this node that outlive a restart. */
export function createSettings(db: Sqlite) {
  const get = db.prepare('select value from settings where key = ?').pluck()
  const set = db.prepare(
    'insert into settings (key, value) values (?, ?) on conflict (key) do update set value = excluded.value',
  )
  const read = (key: string): string | null => (get.get(key) as string | undefined) ?? null

  return {
    /** Whether an admin has stopped Xray: then a restart of ours must not start it. */
    isXrayStopped: (): boolean => get.get('xray.stopped') === 'yes',
    setXrayStopped: (stopped: boolean): void => {
      set.run('xray.stopped', stopped ? 'yes' : 'no')
    },

    /** How far time had come when it was last noted; null: never yet. */
    timeSeen(): NotedTime | null {
      const [time, lived, boot, ms] = read('time.seen')?.split(' ') ?? []
      if (time === undefined) return null
      const uptime = boot === undefined ? null : { boot, ms: Number(ms) }
      return { time: Number(time), lived: lived === undefined ? null : Number(lived), uptime }
    },
    setTimeSeen({ time, lived, uptime }: NotedTime): void {
      const parts = [time, lived ?? time, ...(uptime === null ? [] : [uptime.boot, uptime.ms])]
      set.run('time.seen', parts.join(' '))
    },
    /** What is told again to readers of events after a restart, as JSON; null: nothing yet. */
    keptEvents: (): string | null => read('events.kept'),
    setKeptEvents: (events: string): void => {
      set.run('events.kept', events)
    },
    /** The version of Xray an admin has installed; null: whichever is found. */
    xrayVersion: (): string | null => read('xray.version'),
    setXrayVersion: (version: string): void => {
      set.run('xray.version', version)
    },
    /** The life of Xray during which its geo files were last replaced: it has not read them. */
    geoChangedUnder: (): string | null => read('geo.changed-under'),
    setGeoChangedUnder: (life: string): void => {
      set.run('geo.changed-under', life)
    },
  }
}
