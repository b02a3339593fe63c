/**
 * Ends what still stands of clients who are refused: Xray lets nobody new in, but never ends a connection by itself.
 * Which connections are whose is known from Xray's access log, and remembered only while they stand.
 */
import type { Log } from '#src/log.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { SeenConnection } from '#src/xray/sockets/access-pipe.ts'
import { type SocketCutter, placeOf } from '#src/xray/sockets/socket-cutter.ts'
import { parseXrayName } from '#src/xray/config/user-name.ts'
import { emailKey } from '../rows/rows.ts'

interface Known extends SeenConnection {
  /** Two clients have come through it, as through a web server that stands before Xray: it is nobody's to cut. */
  isShared: boolean
}

/** 10 MB at most. Older ones are forgotten first, and then not cut. */
const MOST_KNOWN = 65_536
/** What has ended by itself is forgotten so soon: behind the same router its port may become another client's. */
const FORGET_EVERY_MS = 30_000

/**
 * What becomes of connections that stand of clients who are refused: they are cut where the machine allows it; end with
 * a restart of Xray at night, if they stand then; or are let stand.
 */
export type CutMode = 'sockets' | 'restart' | 'off'

const MOST_TRIES = 5
/** Of one inbound. At which of them a connection came in Xray does not say, so all are tried. */
const MOST_PORTS = 8

const S = LOCAL_SERVER_ID

export interface CutterDeps {
  db: Sqlite
  mayStay: (name: string) => boolean
  now: () => number
  log: Log
}

export function createCutter({ db, mayStay, now, log }: CutterDeps) {
  const inboundPorts = db.prepare(`select id, port from inbounds where server_id = ${S}`)
  /** Ports inbounds have had, those of inbounds that are gone too: what came in there still stands. */
  const ports = new Map<number, Set<number>>()
  const known = new Map<string, Known>()
  /** What is to be cut, and how often that was tried. */
  const doomed = new Map<string, { seen: Known; tries: number }>()
  let sockets: SocketCutter | null = null
  let forgotAt = now()
  let sweeping: Promise<void> | null = null
  let isAskedAgain = false

  function learnPorts(): void {
    for (const { id, port } of inboundPorts.all() as { id: number; port: number }[]) {
      const had = ports.get(id) ?? new Set()
      // The latest last: of one that is moved about for years the first are forgotten.
      had.delete(port)
      ports.set(id, had.add(port))
      const [first] = had
      if (had.size > MOST_PORTS && first !== undefined) had.delete(first)
    }
  }

  function doom(isMeant: (seen: Known) => boolean): void {
    for (const [place, seen] of known) {
      if (seen.isShared || !isMeant(seen)) continue
      known.delete(place)
      doomed.set(place, { seen, tries: 0 })
    }
  }

  /** Cuts what is to be cut. Looked at afterwards: a list of sockets that changes while it is gone through may miss one. */
  async function cutDoomed(cutter: SocketCutter): Promise<void> {
    const meant = [...doomed]
    const connections = meant.flatMap(([place, { seen }]) => {
      const localPorts = ports.get(parseXrayName(seen.name)?.inboundId ?? 0)
      if (localPorts === undefined) doomed.delete(place)
      return [...(localPorts ?? [])].map((localPort) => ({ ...seen, localPort }))
    })
    if (connections.length === 0) return
    const ended = await cutter.cut(connections)
    log.debug({ ended }, 'connections of clients who are refused were cut')
    const standing = await cutter.standing([...new Set(connections.map(({ localPort }) => localPort))])
    for (const [place, entry] of meant) {
      if (doomed.get(place) !== entry) continue
      if (!standing.has(place) || ++entry.tries >= MOST_TRIES) doomed.delete(place)
      else isAskedAgain = true
    }
  }

  /** What has ended is known no more. What was seen while this was found out stays. */
  async function forgetEnded(cutter: SocketCutter): Promise<void> {
    if (known.size === 0 || Math.abs(now() - forgotAt) < FORGET_EVERY_MS) return
    forgotAt = now()
    const before = [...known]
    const standing = await cutter.standing([...new Set([...ports.values()].flatMap((had) => [...had]))])
    for (const [place, seen] of before)
      if (!standing.has(place) && known.get(place) === seen) known.delete(place)
  }

  async function sweepOnce(cutter: SocketCutter): Promise<void> {
    learnPorts()
    await forgetEnded(cutter)
    const stays = new Map<string, boolean>()
    for (const { name } of known.values()) if (!stays.has(name)) stays.set(name, mayStay(name))
    doom(({ name }) => stays.get(name) !== true)
    await cutDoomed(cutter)
  }

  async function sweepAll(): Promise<void> {
    do {
      isAskedAgain = false
      if (sockets !== null) await sweepOnce(sockets)
    } while (isAskedAgain)
  }

  return {
    /** From now on it can cut; null: it cannot, here. */
    use(cutter: SocketCutter | null): void {
      sockets = cutter
    },

    /** A connection that Xray has let in. */
    note(seen: SeenConnection): void {
      const place = placeOf(seen)
      const before = known.get(place)
      known.delete(place)
      // The one that was to be cut is gone, if this is another's.
      if (doomed.get(place)?.seen.name !== seen.name) doomed.delete(place)
      known.set(place, {
        ...seen,
        isShared: before !== undefined && (before.isShared || before.name !== seen.name),
      })
      const [oldest] = known.keys()
      if (known.size > MOST_KNOWN && oldest !== undefined) known.delete(oldest)
    },

    /** A client has new credentials: who came in by the old ones may be somebody else. */
    outdate(email: string): void {
      const isTheirs = ({ name }: Known): boolean =>
        emailKey(parseXrayName(name)?.email ?? '') === emailKey(email)
      doom(isTheirs)
    },

    /** Cuts no more. Waits for what is under way. */
    async end(): Promise<void> {
      sockets = null
      await sweeping
    },

    /** Ends what stands of everybody who may not be there. Never rejects. */
    sweep(): Promise<void> {
      isAskedAgain = true
      sweeping ??= sweepAll()
        .catch((error: unknown) => log.warn({ error }, 'connections could not be cut'))
        .finally(() => {
          sweeping = null
        })
      return sweeping
    },
  }
}
