/** One event stream per server, for as long as it is watched: read, and opened again where it was cut. */
import type { NodeEvent, ServerConnector } from '#src/contract/index.ts'
import { toFleetError } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { EventPlaces } from './event-places.ts'
import { heldBy } from './retry.ts'
import type { Server } from './types.ts'

/** ms. Most streams break because an agent or a line starts anew, which takes about that long. */
const FIRST_WAIT = 1_000
/** ms. A server back is noticed without health, and a dead one costs a connection a minute. */
const LONGEST_WAIT = 60_000
/** ms. An agent of before there were streams, or one that answers nonsense, will not do better in a minute. */
const HOPELESS_WAIT = 10 * 60 * 1000
/** ms. A stream that stood this long was no failure: the next one may be tried soon. */
const STEADY = 15_000
/** ms per server, over which the first streams are opened: a handshake costs some 4 ms on either side. */
const SPREAD = 10
/** Twice what a node may have kept for a reader that was away. More within a window is no honest node. */
const FLOOD = 2_000
/** ms */
const FLOOD_WINDOW = 10_000

export interface EventStreamsDeps {
  runtime: Runtime
  log: Log
  places: EventPlaces
  servers(): Server[]
  find(serverId: number): Server | undefined
  /** @throws FleetError */
  connector(serverId: number): Pick<ServerConnector, 'sync'>
  /** Every event once, in the order of the server; beats too. */
  heard(server: Server, event: NodeEvent): void
  /** A stream that stood has broken, or stands again. */
  turned(serverId: number): void
}

interface Follower {
  ending: AbortController
  done: Promise<void>
  /** Ends a wait for the next attempt. */
  wake(): void
}

/**
 * How long to wait before a stream is opened again, ms.
 * @param failures in a row, from 0
 * @param chance from 0 to 1, so that a thousand servers do not come at once after an outage of the controller's network
 */
export function reconnectAfter(failures: number, chance: number): number {
  const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures + 1))
  return Math.round(FIRST_WAIT + chance * (longest - FIRST_WAIT))
}

export function createEventStreams(deps: EventStreamsDeps) {
  const { runtime, log, places } = deps
  const followers = new Map<number, Follower>()
  let running = false

  const chance = (): number => runtime.randomBytes(4).readUInt32BE() / 2 ** 32

  function take(serverId: number, event: NodeEvent): void {
    const server = deps.find(serverId)
    const before = places.get(serverId)
    const isKnown = before?.epoch === event.epoch && event.seq <= before.seq
    // Neither gap nor beat has a number of its own. Anything else is told once, whatever a server repeats.
    if (isKnown && event.type !== 'gap' && event.type !== 'beat') return
    if (server === undefined) return
    places.set(serverId, { epoch: event.epoch, seq: event.seq })
    deps.heard(server, event)
  }

  /**
   * Reads a stream to its end.
   * @param again whether there was one before
   * @returns whether to try again soon, and whether it had stood for a while
   */
  async function read(
    serverId: number,
    signal: AbortSignal,
    again: boolean,
  ): Promise<{ soon: boolean; steady: boolean }> {
    let openedAt: number | undefined
    let soon = true
    try {
      const place = places.get(serverId)
      const asked = place === undefined ? {} : { epoch: place.epoch, after: place.seq }
      const stream = await deps.connector(serverId).sync.events(asked, { signal })
      openedAt = runtime.monotonic()
      if (again) deps.turned(serverId)
      let [windowEnds, count] = [0, 0]
      for await (const event of stream) {
        const now = runtime.monotonic()
        if (now >= windowEnds) [windowEnds, count] = [now + FLOOD_WINDOW, 0]
        if (++count > FLOOD) {
          log.warn(
            { server: serverId },
            'a server tells more than can be true; it is listened to again later',
          )
          soon = false
          break
        }
        take(serverId, event)
      }
    } catch (thrown) {
      if (signal.aborted) return { soon: false, steady: false }
      const error = toFleetError(thrown, randomId(runtime, 64))
      const details = { server: serverId, code: error.code, ...error.details }
      if (error.code === 'INTERNAL') log.error({ ...details, err: error.cause }, 'an event stream failed')
      else log.debug(details, 'an event stream broke')
      soon = error.retryable || error.code === 'INTERNAL'
    }
    const stood = openedAt === undefined ? undefined : runtime.monotonic() - openedAt
    if (stood !== undefined && !signal.aborted) deps.turned(serverId)
    return { soon, steady: stood !== undefined && stood >= STEADY }
  }

  async function nap(follower: Follower, ms: number, wakeable: boolean): Promise<void> {
    const woken = new AbortController()
    if (wakeable) follower.wake = () => woken.abort()
    const signal = AbortSignal.any([woken.signal, follower.ending.signal])
    await runtime.sleep(ms, signal).catch(() => undefined)
    follower.wake = () => undefined
  }

  async function follow(serverId: number, follower: Follower, firstWait: number): Promise<void> {
    const { signal } = follower.ending
    await nap(follower, firstWait, true)
    for (let failures = 0, again = false; !signal.aborted; failures++, again = true) {
      const { soon, steady } = await read(serverId, signal, again)
      if (signal.aborted) return
      if (steady) failures = 0
      await nap(follower, soon ? reconnectAfter(failures, chance()) : HOPELESS_WAIT, soon)
    }
  }

  function begin(serverId: number, firstWait: number): void {
    const follower: Follower = {
      ending: new AbortController(),
      done: Promise.resolve(),
      wake: () => undefined,
    }
    followers.set(serverId, follower)
    follower.done = follow(serverId, follower, firstWait).catch((error: unknown) =>
      log.error({ server: serverId, err: error }, 'a server is not listened to any more'),
    )
  }

  function end(serverId: number): void {
    followers.get(serverId)?.ending.abort()
    followers.delete(serverId)
  }

  return {
    start(): void {
      running = true
      const servers = deps.servers().filter((server) => heldBy(server) === undefined)
      for (const { id } of servers) begin(id, Math.floor(chance() * SPREAD * servers.length))
    },

    /** A server's row has changed: whether it is listened to may have. */
    reconsider(serverId: number): void {
      if (!running) return
      const server = deps.find(serverId)
      const wanted = server !== undefined && heldBy(server) === undefined
      if (!wanted) end(serverId)
      else if (!followers.has(serverId)) begin(serverId, 0)
    },

    /** It was heard of, or has moved: what waits to be opened again is tried now. */
    kick: (serverId: number): void => followers.get(serverId)?.wake(),

    /** It has joined anew, as another perhaps: what is known of it counts no more. */
    restart(serverId: number): void {
      if (!running) return
      end(serverId)
      begin(serverId, 0)
    },

    async stop(): Promise<void> {
      running = false
      const all = [...followers.values()]
      for (const serverId of followers.keys()) end(serverId)
      await Promise.all(all.map(({ done }) => done))
    },
  }
}
