/**
 * Carries the journal out: per server one at a time and in the order of next-step.ts, different servers side by side.
 * Nothing is remembered here that is not in the journal too, but whether somebody has just heard of a server.
 */
import { type OperationName, type ServerConnector, operationMeta } from '#src/contract/index.ts'
import { FleetError, toFleetError } from '#src/errors.ts'
import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { GroupCommit } from './group-commit.ts'
import type { Journal, TaskRow } from './journal.ts'
import { type Lane, createLane } from './lane.ts'
import { type Next, createNext } from './next-step.ts'
import { decideFailure, expired, withDoubt } from './retry.ts'
import { sendTask } from './send-task.ts'
import type { Server } from './types.ts'

export interface QueueDeps {
  journal: Journal
  commit: GroupCommit
  runtime: Runtime
  log: Log
  server(id: number): Server | undefined
  connection(server: Server): ServerConnector
  /** A task's row has changed. */
  changed(task: TaskRow): void
  /** The server has carried it out. Told inside the transaction that records it. */
  applied(task: TaskRow): void
  /** It will not be carried out. Told inside the transaction that records it. */
  refused(task: TaskRow): void
  /** The server has answered, so its rows may have changed: told before `changed`. Never rejects. */
  answered(task: TaskRow): Promise<void>
  /** What is pending on this server now waits for it. */
  waiting(serverId: number): void
  faults: Faults
}

export type TaskQueue = ReturnType<typeof createTaskQueue>

/** ms. A full disk, say: not hammered, and noticed soon after it has room again. */
const FAULT_PAUSE = 60_000
/** ms. Longer timers overflow, and a corrected clock should be noticed. */
const LONGEST_SLEEP = 60 * 60 * 1000

export function createTaskQueue(deps: QueueDeps) {
  const { journal, commit, runtime, log, faults } = deps
  const nextOf = createNext(journal)
  const lanes = new Map<number, Lane>()
  /** Settled, but the mirror may not show it yet. */
  const telling = new Set<Promise<void>>()
  let state: 'idle' | 'running' | 'stopped' = 'idle'

  function laneOf(serverId: number): Lane {
    const there = lanes.get(serverId)
    if (there !== undefined) return there
    const lane = createLane()
    lanes.set(serverId, lane)
    return lane
  }

  function wake(serverId: number): void {
    if (state !== 'running') return
    const lane = laneOf(serverId)
    lane.timer?.abort()
    lane.timer = null
    if (lane.busy) return
    lane.busy = true
    lane.done = carryOut(serverId, lane).catch((error: unknown) => {
      log.error({ server: serverId, err: error }, 'the task queue of a server had a fault; it goes on')
      if (state === 'running' && lanes.get(serverId) === lane) rest(serverId, lane, FAULT_PAUSE)
    })
  }

  async function carryOut(serverId: number, lane: Lane): Promise<void> {
    try {
      while (state === 'running') {
        const server = deps.server(serverId)
        const now = runtime.now()
        const next: Next =
          server === undefined ? { do: 'nothing' } : nextOf(server, { kicked: lane.kicked, now })
        lane.kicked = false
        if (server === undefined || next.do === 'nothing') {
          lane.waiting = false
          return
        }
        if (next.do === 'wait') {
          rest(serverId, lane, next.until - now)
          return
        }
        if (next.do === 'refuse') {
          for (const { id } of next.tasks) tell(await settle(id, { status: 'failed', error: next.error }))
          continue
        }
        const { task } = next
        if (next.do === 'expire') {
          const outcome = expired(task, operationMeta(task.operation as OperationName))
          tell(await settle(task.id, outcome))
          continue
        }
        lane.waiting = false
        await attempt(server, lane, task)
      }
    } finally {
      lane.busy = false
    }
  }

  function rest(serverId: number, lane: Lane, ms: number): void {
    lane.waiting = true
    const timer = new AbortController()
    lane.timer = timer
    runtime.sleep(Math.min(ms, LONGEST_SLEEP), timer.signal).then(
      () => wake(serverId),
      () => undefined, // somebody else woke the lane
    )
    deps.waiting(serverId)
  }

  async function attempt(server: Server, lane: Lane, task: TaskRow): Promise<void> {
    const claimed = await commit(() => journal.claim(task.id))
    if (claimed === undefined || state !== 'running') return
    tell(claimed)
    const call = new AbortController()
    lane.call = call
    const operation = task.operation as OperationName
    try {
      const sending = sendTask({
        task: claimed,
        input: journal.input(claimed),
        connector: deps.connection(server),
        stopped: call.signal,
      })
      await Promise.all([sending, faults.at('sent', operation)])
    } catch (thrown) {
      // Stopped, or the server was removed: the row says already what is to be said.
      if (call.signal.aborted) return
      return await failed(lane, claimed, operation, thrown)
    } finally {
      lane.call = null
    }
    // It has answered, so it is there: what waited behind needs not wait on.
    lane.kicked = true
    const applied = await commit(() => {
      const settled = journal.settle(task.id, { status: 'applied', error: null })
      if (settled !== undefined) deps.applied(settled)
      return settled
    })
    await faults.at('recorded', operation)
    if (applied !== undefined) tellWhenMirrored(applied)
  }

  async function failed(lane: Lane, task: TaskRow, operation: OperationName, thrown: unknown): Promise<void> {
    const error = withDoubt(toFleetError(thrown, randomId(runtime, 64)), task)
    const { whenOffline } = operationMeta(operation)
    const now = runtime.now()
    const outcome = decideFailure({ operation, whenOffline, error, attempts: task.attempts, now })
    const about = {
      task: task.id,
      server: task.serverId,
      operation,
      code: error.code,
      attempt: task.attempts,
    }
    // A cause is for the log alone, and only its place: its words may quote what was sent.
    if (error.code === 'INTERNAL')
      log.error({ ...about, ...error.details, at: stackOf(error) }, 'a task failed')
    else log.debug(about, outcome.status === 'pending' ? 'a task will be tried again' : 'a task has failed')
    // A refusal is an answer too.
    if (outcome.status !== 'pending' && !error.retryable) lane.kicked = true
    const settled = await settle(task.id, outcome)
    await faults.at('recorded', operation)
    if (settled === undefined) return
    // Only a last word may be told late: told after a newer one, it would stand for the truth.
    if (settled.status === 'pending' || error.retryable) tell(settled)
    else tellWhenMirrored(settled)
  }

  /** Writes down what became of a task that was not carried out. */
  const settle = (id: string, outcome: Parameters<Journal['settle']>[1]): Promise<TaskRow | undefined> =>
    commit(() => {
      const settled = journal.settle(id, outcome)
      if (settled?.status === 'failed' || settled?.status === 'expired') deps.refused(settled)
      return settled
    })

  function tell(task: TaskRow | undefined): void {
    if (task !== undefined) deps.changed(task)
  }

  /** The next task does not wait for this: only who watches does. */
  function tellWhenMirrored(task: TaskRow): void {
    const told = deps
      .answered(task)
      .then(() => deps.changed(task))
      .catch((error: unknown) => {
        log.error({ task: task.id, err: error }, 'what became of a task was not told')
      })
      .finally(() => telling.delete(told))
    telling.add(told)
  }

  return {
    /** Everything left open by the process before goes on. */
    start(): void {
      state = 'running'
      journal.recover()
      for (const serverId of journal.serversWithOpen()) wake(serverId)
    },
    wake,

    /** Somebody has heard of the server: back-off is over. */
    kick(serverId: number): void {
      laneOf(serverId).kicked = true
      wake(serverId)
    },

    isWaiting: (serverId: number): boolean => lanes.get(serverId)?.waiting ?? false,

    /** The server is gone: its tasks are cancelled already. */
    drop(serverId: number): void {
      const lane = lanes.get(serverId)
      lanes.delete(serverId)
      lane?.timer?.abort()
      lane?.call?.abort()
    },

    /** Ends timers and calls. Rows stay as they are: the next start goes on from there. */
    async stop(): Promise<void> {
      state = 'stopped'
      for (const lane of lanes.values()) {
        lane.timer?.abort()
        lane.call?.abort()
      }
      await Promise.all([...lanes.values()].map((lane) => lane.done))
      await Promise.all(telling)
    },
  }
}

function stackOf(error: FleetError): string | undefined {
  const { cause } = error
  if (!(cause instanceof Error)) return undefined
  return cause.stack?.slice(cause.stack.indexOf('\n    at ') + 1) || cause.name
}
