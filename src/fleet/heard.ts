import type { NodeEvent } from '#src/contract/index.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Emitter } from './events.ts'
import type { Mirror } from './mirror.ts'
import type { FleetEvents, Server } from './types.ts'

/**
 * Fetches per second for traffic alone, over all servers. A node counts every 10 s: up to a hundred busy servers are
 * followed at once, and of a thousand the rest is left to the sweep, which comes by every 30 s.
 */
const TRAFFIC_PER_SECOND = 10
const TRAFFIC_AT_ONCE = 20

export interface HeardDeps {
  runtime: Pick<Runtime, 'monotonic'>
  mirror: Pick<Mirror, 'note' | 'sync'>
  events: Emitter<FleetEvents>
  /** Writes down up to where a server was listened to. */
  keep: (serverId: number) => void
}

/** What follows from an event of a server. */
export function createHeard({ runtime, mirror, events, keep }: HeardDeps) {
  let [tokens, filledAt] = [TRAFFIC_AT_ONCE, runtime.monotonic()]

  function mayFetchTraffic(): boolean {
    const now = runtime.monotonic()
    tokens = Math.min(TRAFFIC_AT_ONCE, tokens + ((now - filledAt) / 1_000) * TRAFFIC_PER_SECOND)
    filledAt = now
    if (tokens < 1) return false
    tokens--
    return true
  }

  return ({ id, kind }: Pick<Server, 'id' | 'kind'>, event: NodeEvent): void => {
    // The rows of the own node are no mirror.
    const isMirrored = kind === 'agent'
    switch (event.type) {
      case 'beat':
      case 'changed':
        // Where the position cannot be read, the next sign asks again.
        if (isMirrored) mirror.note(id, event.position, mayFetchTraffic).catch(() => undefined)
        return
      case 'gap':
        if (isMirrored) void mirror.sync(id)
        events.emit('missed', { serverId: id })
        events.emit('suspect', { serverId: id })
        return
      case 'unknown':
        return
      case 'xrayUp':
      case 'xrayDown':
        events.emit('suspect', { serverId: id })
        break
      default:
    }
    events.emit('pushed', { serverId: id, event })
    keep(id)
  }
}
