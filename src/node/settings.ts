import type { Sqlite } from '#src/store/open.ts'

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

    /** How far time had come when it was last noted, ms; null: never yet. */
    timeSeen(): number | null {
      const value = get.get('time.seen') as string | undefined
      return value === undefined ? null : Number(value)
    },
    setTimeSeen: (time: number): void => {
      set.run('time.seen', String(time))
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
