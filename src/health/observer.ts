import { type CodedError, errorText } from '#src/errors.ts'
import type { Fleet, Server, ServerReport } from '#src/fleet/types.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Db } from '#src/store/drizzle.ts'
import { decide, type HealthEffect, type HealthEvent } from './decide.ts'
import type { HealthPolicy } from './policy.ts'
import { askInfo, probe, type ProbeResult, type ProbeTarget } from './probe.ts'
import { type HealthState, isWorthKeeping, unknownServer } from './state.ts'
import { createHealthStore } from './store.ts'

/** What health needs of the fleet. */
export interface HealthFleet extends Pick<Fleet, 'noteHealth' | 'noteInfo' | 'on'> {
  servers: Pick<Fleet['servers'], 'list' | 'find' | 'report'>
  tasks: Pick<Fleet['tasks'], 'kick'>
  connectorFor(serverId: number): ProbeTarget
}

export interface ObserverOptions {
  db: Db
  fleet: HealthFleet
  runtime: Runtime
  log: Log
  policy: HealthPolicy
  /** Who is told, at the moment when there is something to tell. */
  chats: () => string[]
  /** Called when there is something new in the outbox. */
  wake: () => void
}

/**
 * Looks at one server at a time and carries out what follows. The truth is server_health.state; what stands in
 * memory differs from it by lastProof alone, which would cost a write per server and sweep and is needed by nobody
 * after a restart.
 */
export function createObserver(options: ObserverOptions) {
  const { db, fleet, runtime, log, policy, chats, wake } = options
  const store = createHealthStore(db)
  const states = new Map<number, HealthState>()
  /** The versions for which a server's description is known, by server. */
  const described = new Map<number, string>()
  const asking = new Set<number>()

  const stateOf = (id: number): HealthState => states.get(id) ?? store.load(id) ?? unknownServer

  /** Something stands in the outbox that nobody has been told of. */
  let isOwed = false

  const tellOwed = (): void => {
    if (!isOwed) return
    try {
      wake()
      isOwed = false
    } catch (error) {
      log.error({ reason: words(error) }, 'the outbox was not woken; it is with the next probe')
    }
  }

  /** Decides, stores and remembers. If storing fails nothing has happened. */
  const happen = (
    server: Server,
    event: HealthEvent,
  ): { before: HealthState; after: HealthState; effects: HealthEffect[] } => {
    const before = stateOf(server.id)
    const now = runtime.now()
    const { state: after, effects } = decide(before, event, now, policy)
    if (isWorthKeeping(before, after)) {
      const change = { serverId: server.id, serverName: server.name, state: after, effects, now }
      isOwed = store.commit({ ...change, chats: chats() }) || isOwed
    }
    // Before anything else can fail: what stands here must not stay behind what is stored.
    states.set(server.id, after)
    tellOwed()
    if (before.status !== after.status) {
      log.info({ server: server.id, from: before.status, to: after.status }, 'a server is in another state')
    }
    return { before, after, effects }
  }

  /** Tells the fleet what is new only: a quiet server is none of the database's business. */
  const report = (server: Server, found: ServerReport): void => {
    const news: ServerReport = {}
    if (found.status !== undefined && found.status !== server.status) news.status = found.status
    if (found.lastSeen !== undefined) news.lastSeen = found.lastSeen
    if (found.lastError !== undefined && found.lastError !== server.lastError) {
      news.lastError = found.lastError
      news.problem = found.problem ?? null
    }
    if (found.version && found.version !== server.version) news.version = found.version
    if (found.xrayVersion && found.xrayVersion !== server.xrayVersion) news.xrayVersion = found.xrayVersion
    if (Object.keys(news).length > 0) fleet.servers.report(server.id, news)
  }

  const describe = async (id: number, versions: string, signal: AbortSignal): Promise<void> => {
    if (asking.has(id)) return
    asking.add(id)
    try {
      const info = await askInfo(() => fleet.connectorFor(id), policy.probeTimeoutMs, runtime, signal)
      fleet.noteInfo(id, info)
      described.set(id, versions)
    } catch (error) {
      // The next good reply asks again.
      log.debug({ server: id, reason: words(error) }, 'a server did not say what it is')
    } finally {
      asking.delete(id)
    }
  }

  const heard = (
    id: number,
    result: Exclude<ProbeResult, { type: 'missed' }>,
    before: HealthState,
    after: HealthState,
    signal: AbortSignal,
  ): void => {
    const { health } = result
    fleet.noteHealth(id, health).catch((error: unknown) => {
      log.warn({ server: id, reason: words(error) }, "a server's changes could not be fetched")
    })
    const cameBack = before.status !== after.status
    const versions = `${health.agentVersion} ${health.xrayVersion ?? ''}`
    if (cameBack || described.get(id) !== versions) void describe(id, versions, signal)
    const wasAway = before.status === 'offline' || before.streaks.offline !== undefined
    if (cameBack || wasAway) fleet.tasks.kick(id)
  }

  return {
    stateOf,
    /** Evidence is being gathered against what is confirmed. */
    isSuspect: (id: number): boolean => Object.keys(stateOf(id).streaks).length > 0,

    /** Takes up every server where the last run left it. */
    begin(): void {
      for (const server of fleet.servers.list()) {
        const { after } = happen(server, { type: 'started' })
        // The last run may have ended between the two.
        if (server.enabled) report(server, { status: after.status })
      }
    },

    /** One probe and all that follows from it. @returns when to look again before the next sweep (ms), or null */
    async observe(id: number, timeoutMs: number, signal: AbortSignal): Promise<number | null> {
      if (fleet.servers.find(id)?.enabled !== true) return null
      const result = await probe(() => fleet.connectorFor(id), timeoutMs, runtime, signal)
      // Switched off, removed, or we are stopping: then the outcome says nothing.
      const server = fleet.servers.find(id)
      if (signal.aborted || server?.enabled !== true) return null

      const { before, after, effects } = happen(server, eventOf(result))
      const { status } = after
      if (result.type === 'missed') {
        const { code, details } = result.reason
        if (code === 'INTERNAL') log.error({ server: id, ...details, cause: stack(result.cause) }, 'probe')
        // That it has not joined yet is its state, not an error.
        if (code !== 'SERVER_NOT_JOINED') report(server, { status, ...told(result.reason) })
      } else {
        const found = told(result.type === 'answered' ? null : result.reason)
        const { agentVersion: version, xrayVersion } = result.health
        report(server, { status, lastSeen: runtime.now(), ...found, version, xrayVersion })
        heard(id, result, before, after, signal)
      }
      return effects.find((effect) => effect.type === 'reprobe')?.at ?? null
    },

    /** It was switched off: closes its incident without a word. */
    leave(server: Server): void {
      const { before, after } = happen(server, { type: 'disabled' })
      described.delete(server.id)
      if (before.status !== after.status) report(server, { status: after.status })
    },

    /** It was removed. Its rows went with it. */
    forget(id: number): void {
      states.delete(id)
      described.delete(id)
    },

    /** Which servers anything is remembered of. */
    known: (): number[] => [...states.keys()],

    /** Nothing is said any more about servers that are gone or switched off. */
    hush(): void {
      const watched = fleet.servers.list().filter((server) => server.enabled)
      store.dropExcept(new Set(watched.map((server) => server.id)))
    },
  }
}

function eventOf(result: ProbeResult): HealthEvent {
  if (result.type === 'answered') return { type: 'answered', askedAt: result.askedAt }
  return { type: result.type, askedAt: result.askedAt, reason: result.reason }
}

/** What is wrong with a server, if anything is, in English and by its code. */
function told(reason: CodedError | null): Pick<ServerReport, 'lastError' | 'problem'> {
  return { lastError: reason === null ? null : errorText(reason.code, reason.details), problem: reason }
}

/** Words alone: an error's own fields may hold what must not be logged. */
function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function stack(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : typeof error
}
