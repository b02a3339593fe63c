import type { Sqlite } from '#src/store/open.ts'

/** The last event that was heard of a server. */
export interface EventPlace {
  epoch: string
  seq: number
}

export type EventPlaces = ReturnType<typeof createEventPlaces>

/**
 * Up to where each server was listened to. In memory, since a quiet server is to cost no write; in the file after
 * what somebody is told of, and at the end: then the next run misses nothing, and tells nothing twice.
 */
export function createEventPlaces(sqlite: Sqlite) {
  const key = (serverId: number): string => `events.${serverId}`
  const read = sqlite.prepare('select value from settings where key = ?').pluck()
  const write = sqlite.prepare(
    'insert into settings (key, value) values (?, ?) on conflict (key) do update set value = excluded.value',
  )
  const remove = sqlite.prepare('delete from settings where key = ?')
  const places = new Map<number, EventPlace>()
  const unwritten = new Set<number>()

  function keep(serverId: number): void {
    const place = places.get(serverId)
    if (place === undefined || !unwritten.has(serverId)) return
    write.run(key(serverId), JSON.stringify(place))
    unwritten.delete(serverId)
  }

  return {
    get(serverId: number): EventPlace | undefined {
      const known = places.get(serverId)
      if (known !== undefined) return known
      const written = read.get(key(serverId)) as string | undefined
      return written === undefined ? undefined : (JSON.parse(written) as EventPlace)
    },
    set(serverId: number, place: EventPlace): void {
      const before = places.get(serverId)
      if (before?.epoch === place.epoch && before.seq === place.seq) return
      places.set(serverId, place)
      unwritten.add(serverId)
    },
    keep,
    /** Writes what is known in memory alone. */
    flush: sqlite.transaction((): void => {
      for (const serverId of unwritten) keep(serverId)
    }),
    forget(serverId: number): void {
      places.delete(serverId)
      unwritten.delete(serverId)
      remove.run(key(serverId))
    },
  }
}
