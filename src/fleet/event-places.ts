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
 * @param onError what becomes of a write that fails; the next one makes up for it
 */
export function createEventPlaces(sqlite: Sqlite, onError: (error: unknown) => void) {
  const key = (serverId: number): string => `events.${serverId}`
  const read = sqlite.prepare('select value from settings where key = ?').pluck()
  const write = sqlite.prepare(
    'insert into settings (key, value) values (?, ?) on conflict (key) do update set value = excluded.value',
  )
  const remove = sqlite.prepare('delete from settings where key = ?')
  const places = new Map<number, EventPlace>()
  const unwritten = new Set<number>()
  let due = new Set<number>()
  let isWaiting = false

  const writeAll = sqlite.transaction((servers: ReadonlySet<number>): void => {
    for (const serverId of servers) {
      const place = places.get(serverId)
      if (place !== undefined && unwritten.has(serverId)) write.run(key(serverId), JSON.stringify(place))
    }
  })

  function keepAll(servers: ReadonlySet<number>): void {
    // Nothing is due where a flush came before: then the file may be closed already.
    if (servers.size === 0) return
    try {
      writeAll(servers)
      for (const serverId of servers) unwritten.delete(serverId)
    } catch (error) {
      onError(error)
    }
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
    /** Writes a server's place down, after those who listen have taken note, with all others of this moment. */
    keep(serverId: number): void {
      due.add(serverId)
      if (isWaiting) return
      isWaiting = true
      setImmediate(() => {
        isWaiting = false
        const now = due
        due = new Set()
        keepAll(now)
      })
    },
    /** Writes what is known in memory alone. */
    flush(): void {
      due.clear()
      keepAll(new Set(unwritten))
    },
    forget(serverId: number): void {
      places.delete(serverId)
      unwritten.delete(serverId)
      remove.run(key(serverId))
    },
  }
}
