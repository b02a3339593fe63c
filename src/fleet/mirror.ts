import type { Changes, ServerConnector } from '#src/contract/index.ts'
import { toFleetError } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { MirrorPosition, MirrorRows } from './mirror-rows.ts'

export interface MirrorDeps {
  rows: MirrorRows
  runtime: Runtime
  log: Log
  /** The server's connector, or undefined where no mirror is kept. @throws FleetError when it cannot be reached */
  connector: (serverId: number) => ServerConnector | undefined
  /** A look at a server begins. What it returns is called when the rows show what was seen. */
  looking: (serverId: number) => () => void
}

export type Mirror = ReturnType<typeof createMirror>

interface Fetching {
  now: Promise<void>
  /** Asked for while one was on its way: that one may have missed what this is about. */
  next: Promise<void> | null
}

/** Follows the rows of every other server, so that screens answer at once, also while it is away. */
export function createMirror({ rows, runtime, log, connector, looking }: MirrorDeps) {
  const fetching = new Map<number, Fetching>()
  /** Later than what is written, where nothing but the time moved: an idle server costs no write. */
  const fresh = new Map<number, number>()
  const stopped = new AbortController()

  async function follow(serverId: number): Promise<void> {
    if (stopped.signal.aborted) return
    try {
      const source = connector(serverId)
      if (source === undefined) return
      const seen = looking(serverId)
      // What is true is true of the moment of the question: the answer may have been long on its way.
      const askedAt = runtime.now()
      const changes = await fetchChanges(source, rows.position(serverId))
      if (stopped.signal.aborted) return
      rows.apply(serverId, changes, askedAt)
      fresh.delete(serverId)
      seen()
    } catch (thrown) {
      if (stopped.signal.aborted) return
      const error = toFleetError(thrown, randomId(runtime, 64))
      const details = { server: serverId, code: error.code, ...error.details }
      if (error.code === 'INTERNAL') log.error({ ...details, err: error.cause }, 'a mirror could not follow')
      else log.debug(details, 'a mirror could not follow')
    }
  }

  async function fetchChanges(source: ServerConnector, from: MirrorPosition): Promise<Changes> {
    const { signal } = stopped
    const since = { epoch: from.epoch, since: from.changeSeq, trafficSince: from.trafficSeq }
    const changes = await source.sync.changes(since, { signal })
    if (continues(changes, from)) return changes
    // The server's history is not the one that was followed so far: everything again.
    return source.sync.changes({ epoch: '', since: 0, trafficSince: 0 }, { signal })
  }

  /** Never rejects: a mirror that could not follow stays as old as it says it is. */
  function sync(serverId: number): Promise<void> {
    const running = fetching.get(serverId)
    if (running !== undefined) {
      running.next ??= running.now.then(() => sync(serverId))
      return running.next
    }
    const now = follow(serverId).finally(() => fetching.delete(serverId))
    fetching.set(serverId, { now, next: null })
    return now
  }

  return {
    sync,

    /**
     * A sign of life with the server's position: fetches only if it has moved.
     * @param mayFetchTraffic asked where traffic alone has moved; what is not fetched now is owed until the next sign
     */
    async note(
      serverId: number,
      at: { epoch: string; changeSeq: number; trafficSeq: number },
      mayFetchTraffic: () => boolean = () => true,
    ): Promise<void> {
      const here = rows.position(serverId)
      const changed = at.epoch !== here.epoch || at.changeSeq !== here.changeSeq
      const counted = at.trafficSeq !== here.trafficSeq
      if (changed || (counted && mayFetchTraffic())) await sync(serverId)
      else if (!counted) fresh.set(serverId, runtime.now())
    },

    /** When the rows were last known to be true, ms since the epoch; null: never. */
    syncedAt(serverId: number): number | null {
      const { syncedAt } = rows.position(serverId)
      const later = fresh.get(serverId)
      return later === undefined ? syncedAt : Math.max(later, syncedAt ?? 0)
    },

    forget: (serverId: number) => fresh.delete(serverId),

    /** Writes what is known in memory alone. */
    flush(): void {
      for (const [serverId, at] of fresh) rows.touch(serverId, at)
      fresh.clear()
    },

    async stop(): Promise<void> {
      stopped.abort()
      await Promise.all([...fetching.values()].map(({ now }) => now))
    },
  }
}

/** Whether an answer carries on from this position, or is the whole state. */
function continues(changes: Changes, from: MirrorPosition): boolean {
  if (changes.full) return true
  return changes.epoch === from.epoch && changes.changeSeq >= from.changeSeq
}
