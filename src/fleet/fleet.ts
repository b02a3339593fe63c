import type { ServerConnector } from '#src/contract/index.ts'
import { FleetError, fail } from '#src/errors.ts'
import { type Faults, noFaults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Db } from '#src/store/drizzle.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { createArrivals } from './arrivals.ts'
import { createBackups } from './backups.ts'
import { type Connection, createConnections } from './connections.ts'
import { newClient } from './credentials.ts'
import { createEmitter } from './events.ts'
import { createGroupCommit } from './group-commit.ts'
import { createJournal, toView } from './journal.ts'
import { createListening } from './listening.ts'
import { createMirrorRows } from './mirror-rows.ts'
import { createMirror } from './mirror.ts'
import { createMirrored } from './mirrored.ts'
import { createProgress } from './progress.ts'
import { heldBy } from './retry.ts'
import { createServers } from './servers.ts'
import { createTaskQueue } from './task-queue.ts'
import { createTasks } from './tasks.ts'
import { tagOperations } from './tags.ts'
import type { Fleet, FleetEvents, RefusedChange, Server } from './types.ts'
import { createView } from './view.ts'

export interface FleetDeps {
  db: Db
  box: SecretBox
  runtime: Runtime
  log: Log
  /** Makes the way to a server: called once per server, and again after it moved. */
  connect(server: Server): Connection
  /** A new join token for a server, and the line that uses it. Called inside the transaction that records it. */
  invite(serverId: number): { command: string; token: string; expiresAt: number }
  /** Takes from a server every right to speak. Called inside the transaction that removes it. */
  revoke(serverId: number): void
  /** A change will not be made. Called inside the transaction that records it. */
  refused?: (change: RefusedChange) => void
  /** The host in links of the own machine, where its row names none. */
  localHost?: string | undefined
  faults?: Faults | undefined
}

/** ms. A sighting an hour old in the row is good enough after a crash. */
const FLUSH_EVERY = 60 * 60 * 1000
/** Secrets of failed tasks are swept out once a day: a walk over the whole journal. */
const FLUSHES_PER_SWEEP = 24

/** The controller's domain, over one database. Nothing is sent before `start()`. */
export function createFleet(deps: FleetDeps): Fleet {
  const { db, box, runtime, log, faults = noFaults } = deps
  const sqlite = db.$client
  const stopping = new AbortController()
  const onError = (error: unknown): void => log.error({ err: error }, 'a listener of the fleet failed')

  const events = createEmitter<FleetEvents>(onError)
  const journal = createJournal({ sqlite, box, runtime })
  const connections = createConnections({ connect: (server) => deps.connect(server), log })

  const arrivals = createArrivals(journal)

  const mirror = createMirror({
    looking: (serverId) => arrivals.look(serverId),
    rows: createMirrorRows(sqlite, box),
    runtime,
    log,
    connector(serverId) {
      const server = servers.get(serverId)
      if (server.kind === 'local') return undefined
      const held = heldBy(server)
      if (held !== undefined) fail(held)
      return connections.to(server)
    },
  })

  const mirrored = createMirrored({ runtime, mirror, stopping: stopping.signal })

  const listening = createListening({
    sqlite,
    runtime,
    log,
    events,
    mirror,
    servers: () => servers.list(),
    find: (id) => servers.find(id),
    connector: (id) => connections.to(servers.get(id)),
    onError: couldNotWrite,
  })

  const progress = createProgress({
    load: (batch) => journal.batch(batch).map(toView),
    isWaiting: (serverId) => queue.isWaiting(serverId),
    onError,
  })

  const queue = createTaskQueue({
    journal,
    commit: createGroupCommit(sqlite),
    runtime,
    log,
    server: (id) => servers.find(id),
    connection: (server) => connections.to(server),
    changed: (task) => progress.changed(toView(task)),
    applied(task) {
      // The rows of the own node are no mirror.
      if (servers.find(task.serverId)?.kind === 'agent') arrivals.applied(task)
    },
    refused: (task) => deps.refused?.({ task: toView(task), actor: task.actor }),
    // The rows of the own node are no mirror.
    answered: async ({ serverId }) =>
      servers.find(serverId)?.kind === 'agent' ? mirrored(serverId) : undefined,
    waiting: () => progress.waiting(),
    faults,
  })

  const servers = createServers({
    db,
    journal,
    runtime,
    events,
    connections,
    invite: (id) => deps.invite(id),
    revoke: (id) => deps.revoke(id),
    awake: (id) => queue.kick(id),
    asleep: (id) => queue.wake(id),
    removed(id, cancelled) {
      queue.drop(id)
      mirror.forget(id)
      arrivals.forget(id)
      listening.forget(id)
      for (const task of cancelled) progress.changed(toView(task))
    },
  })

  const tasks = createTasks({
    sqlite,
    journal,
    queue,
    progress,
    runtime,
    server: (id) => servers.get(id),
    find: (id) => servers.find(id),
    faults,
  })

  const view = createView({
    db,
    box,
    localHost: deps.localHost,
    servers: () => servers.list(),
    server: (id) => servers.find(id),
    countServers: () => servers.count(),
    syncedAt: (id) => mirror.syncedAt(id),
    arriving: () => arrivals.list(),
    waiting: () => journal.openOf(...tagOperations),
  })
  function connectorFor(serverId: number): ServerConnector {
    const server = servers.get(serverId)
    const held = heldBy(server)
    if (held !== undefined) throw new FleetError(held)
    return connections.to(server)
  }

  async function keepFlushing(): Promise<void> {
    for (let flushes = 0; !stopping.signal.aborted; flushes++) {
      if (flushes % FLUSHES_PER_SWEEP === 0) attempt(() => journal.forgetOldSecrets())
      await runtime.sleep(FLUSH_EVERY, stopping.signal)
      attempt(flush)
    }
  }

  function flush(): void {
    servers.flush()
    mirror.flush()
  }

  /** A disk that is full now may have room in an hour. */
  function couldNotWrite(error: unknown): void {
    log.error({ err: error }, 'the fleet could not write down what it knows; it tries again')
  }

  function attempt(work: () => void): void {
    try {
      work()
    } catch (error) {
      couldNotWrite(error)
    }
  }

  return {
    servers,
    tasks,
    view,

    backups: createBackups({ sqlite, journal, runtime, connector: connectorFor, mirrored }),
    connectorFor,

    newClient: (email) => newClient(runtime, email),

    async noteHealth(serverId, health) {
      const server = servers.find(serverId)
      if (server === undefined) return
      if (queue.isWaiting(serverId)) queue.kick(serverId)
      listening.kick(serverId)
      if (server.kind === 'local') return
      await (arrivals.isOwed(serverId) ? mirror.sync(serverId) : mirror.note(serverId, health))
    },

    noteInfo(serverId, info) {
      servers.report(serverId, {
        version: info.agentVersion,
        xrayVersion: info.xrayVersion,
        osInfo: [info.os, info.kernel, info.arch].filter((part) => part !== '').join(' '),
      })
    },

    async caughtUp(serverIds) {
      // The rows of the own node are no mirror.
      const behind = [...new Set(serverIds)].filter(
        (id) => servers.find(id)?.kind === 'agent' && arrivals.isOwed(id),
      )
      await Promise.all(behind.map(mirrored))
    },

    noteJoined: (serverId, endpoint) => servers.joined(serverId, endpoint),
    on: (event, listener) => events.on(event, listener),

    start() {
      arrivals.start()
      queue.start()
      listening.start()
      // Ends by the abort alone.
      keepFlushing().catch(() => undefined)
    },

    async stop() {
      stopping.abort()
      await Promise.all([queue.stop(), listening.stop(), mirror.stop()])
      progress.stop()
      attempt(flush)
      await connections.closeAll()
    },
  }
}
