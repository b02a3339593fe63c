import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { createEventPlaces } from './event-places.ts'
import { createEventStreams, type EventStreamsDeps } from './event-streams.ts'
import type { Emitter } from './events.ts'
import { createHeard } from './heard.ts'
import type { Mirror } from './mirror.ts'
import type { FleetEvents } from './types.ts'

interface ListeningDeps extends Pick<EventStreamsDeps, 'servers' | 'find' | 'connector'> {
  sqlite: Sqlite
  runtime: Runtime
  log: Log
  events: Emitter<FleetEvents>
  mirror: Pick<Mirror, 'note' | 'sync'>
  /** What becomes of a write that fails. */
  onError: (error: unknown) => void
}

/** Listens to every server that can be reached and is switched on, and does what follows from what it tells. */
export function createListening(deps: ListeningDeps) {
  const { events } = deps
  const places = createEventPlaces(deps.sqlite, deps.onError)
  const streams = createEventStreams({
    ...deps,
    places,
    heard: createHeard({ ...deps, keep: (serverId) => places.keep(serverId) }),
    turned: (serverId) => events.emit('suspect', { serverId }),
  })
  events.on('server', ({ serverId }) => streams.reconsider(serverId))
  events.on('joined', ({ serverId }) => streams.restart(serverId))

  return {
    start: () => streams.start(),
    /** The server was heard of: a stream that waits to be opened again is tried now. */
    kick: (serverId: number): void => streams.kick(serverId),
    /** The server was removed. */
    forget: (serverId: number): void => places.forget(serverId),
    async stop(): Promise<void> {
      await streams.stop()
      places.flush()
    },
  }
}
