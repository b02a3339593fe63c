import { createHash } from 'node:crypto'
import {
  type OperationMeta,
  type OperationName,
  callNames,
  operationMeta,
  parseInput,
} from '#src/contract/index.ts'
import type { Faults } from '#src/faults.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { type Journal, type NewTask, isFinal, toView } from './journal.ts'
import type { Progress } from './progress.ts'
import { backoff, expiryOf, heldBy, isAway, isBegun, unreachable } from './retry.ts'
import type { TaskQueue } from './task-queue.ts'
import type { Batch, Server, Tasks } from './types.ts'

export interface TasksDeps {
  sqlite: Sqlite
  journal: Journal
  queue: TaskQueue
  progress: Progress
  runtime: Runtime
  /** @throws FleetError SERVER_NOT_FOUND */
  server(id: number): Server
  find(id: number): Server | undefined
  faults: Faults
}

export function createTasks(deps: TasksDeps): Tasks {
  const { sqlite, journal, queue, progress, runtime, faults } = deps
  const contractNames = new Set<string>(callNames())

  /** How a task begins its life, by what is known of its server now. */
  function beginning(
    server: Server,
    meta: OperationMeta,
  ): Pick<NewTask, 'status' | 'error' | 'nextAttemptAt'> {
    const now = runtime.now()
    const away = isAway(server)
    if (meta.whenOffline === 'refuse') {
      if (away) return { status: 'failed', error: unreachable(heldBy(server)), nextAttemptAt: now }
      return { status: 'pending', error: null, nextAttemptAt: now }
    }
    const waits = away || queue.isWaiting(server.id)
    return { status: 'pending', error: null, nextAttemptAt: waits ? now + backoff(1) : now }
  }

  /** @returns false when the batch is there already */
  function write(batch: string, tasks: NewTask[], before: () => void = () => undefined): boolean {
    return sqlite
      .transaction(() => {
        if (journal.batch(batch).length > 0) return false
        before()
        for (const task of tasks) journal.append(task)
        return true
      })
      .immediate()
  }

  function handle(id: string): Batch {
    const tasks = journal.batch(id)
    // Awake first: until then a queue seems to wait, also for what it sends at once.
    for (const serverId of new Set(tasks.map((task) => task.serverId))) queue.wake(serverId)
    return { id, tasks: tasks.map(toView), settled: progress.settled(id) }
  }

  const tasks: Tasks = {
    async run({ operation, targets, before, actor, id = runtime.uuid() }) {
      // First of all: what was asked for again may be about a server that is gone by now.
      if (journal.batch(id).length > 0) return handle(id)
      const inputs: { operation: OperationName; server: Server; input: unknown }[] = []
      for (const change of [...(before === undefined ? [] : [before]), { operation, targets }]) {
        for (const target of change.targets) {
          const server = deps.server(target.serverId)
          const input = await parseInput(change.operation, target.input)
          inputs.push({ operation: change.operation, server, input })
        }
      }
      write(
        id,
        inputs.map((each) => {
          const meta = operationMeta(each.operation)
          return {
            id: runtime.uuid(),
            batch: id,
            serverId: each.server.id,
            operation: each.operation,
            input: each.input,
            actor,
            secretPaths: meta.secrets,
            expiresAt: expiryOf(meta, runtime.now()),
            ...beginning(each.server, meta),
          }
        }),
      )
      await faults.at('task committed', operation)
      return handle(id)
    },

    batch: (id) => journal.batch(id).map(toView),

    async retryFailed(batchId, actor) {
      const again = journal
        .batch(batchId)
        .filter((task) => journal.canRetry(task) && contractNames.has(task.operation))
        .map((task) => ({ task, id: retryId(task.id), server: deps.find(task.serverId) }))
        .filter(({ server }) => server !== undefined)
      const fresh = again.filter(({ id }) => journal.get(id) === undefined)
      // A second tap means the same: the batch that was made by the first.
      const made = again.map(({ id }) => journal.get(id)?.batch).findLast((batch) => batch !== undefined)
      if (fresh.length === 0) return handle(made ?? runtime.uuid())
      const batch = runtime.uuid()
      write(
        batch,
        fresh.flatMap(({ task, id, server }) => {
          if (server === undefined) return []
          const meta = operationMeta(task.operation as OperationName)
          return {
            id,
            batch,
            serverId: server.id,
            operation: task.operation,
            actor,
            input: journal.input(task),
            secretPaths: meta.secrets,
            expiresAt: expiryOf(meta, runtime.now()),
            ...beginning(server, meta),
          }
        }),
        () => {
          for (const { task } of fresh) journal.forgetSecrets(task.id)
        },
      )
      return handle(batch)
    },

    open: (serverId) => journal.open(serverId).map((task) => ({ ...toView(task), begun: isBegun(task) })),

    cancel(taskId, actor) {
      const cancelled = sqlite
        .transaction(() => {
          const task = journal.get(taskId)
          if (task === undefined || isFinal(task.status) || isBegun(task)) return undefined
          journal.record(task.serverId, 'servers.cancel', { task: taskId, operation: task.operation }, actor)
          return journal.settle(taskId, { status: 'cancelled', error: null })
        })
        .immediate()
      if (cancelled === undefined) return false
      progress.changed(toView(cancelled))
      // What stood behind it may be first now.
      queue.wake(cancelled.serverId)
      return true
    },

    watch: (batchId, listener) => progress.watch(batchId, listener),
    kick: (serverId) => queue.kick(serverId),
  }
  return tasks
}

/** The one task that tries `id` again, as a UUID of its own (version 8: made by our own rule). */
function retryId(id: string): string {
  const hex = createHash('sha256').update('fleetgram retry\n').update(id).digest('hex')
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
