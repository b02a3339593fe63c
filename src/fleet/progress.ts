import { isFinal } from './journal.ts'
import type { TaskView } from './types.ts'

interface LiveBatch {
  tasks: Map<string, TaskView>
  listeners: Set<(tasks: TaskView[]) => void>
  waiters: Set<(tasks: TaskView[]) => void>
}

export type Progress = ReturnType<typeof createProgress>

/**
 * What is told to whoever watches a batch. Batches somebody watches are held in memory, so that each of a thousand
 * answers costs no reading of a thousand rows.
 * @param isWaiting whether what is pending on this server waits for it to come back
 */
export function createProgress(deps: {
  load(batch: string): TaskView[]
  isWaiting(serverId: number): boolean
  onError(error: unknown): void
}) {
  const live = new Map<string, LiveBatch>()
  let stopped = false

  function join(id: string): LiveBatch {
    const there = live.get(id)
    if (there !== undefined) return there
    const batch: LiveBatch = {
      tasks: new Map(deps.load(id).map((task) => [task.id, task])),
      listeners: new Set(),
      waiters: new Set(),
    }
    live.set(id, batch)
    return batch
  }

  function leave(id: string, batch: LiveBatch): void {
    if (batch.listeners.size === 0 && batch.waiters.size === 0 && live.get(id) === batch) live.delete(id)
  }

  const isSettled = (task: TaskView): boolean =>
    isFinal(task.status) || (task.status === 'pending' && deps.isWaiting(task.serverId))

  function release(id: string, batch: LiveBatch): void {
    const tasks = [...batch.tasks.values()]
    for (const waiter of batch.waiters) waiter(tasks)
    batch.waiters.clear()
    leave(id, batch)
  }

  function check(id: string, batch: LiveBatch): void {
    if (batch.waiters.size > 0 && (stopped || [...batch.tasks.values()].every(isSettled))) release(id, batch)
  }

  return {
    changed(task: TaskView): void {
      const batch = live.get(task.batch)
      if (batch === undefined) return
      batch.tasks.set(task.id, task)
      for (const listener of batch.listeners) {
        try {
          listener([...batch.tasks.values()])
        } catch (error) {
          deps.onError(error)
        }
      }
      check(task.batch, batch)
    },

    /** A server's queue has begun to wait for it. */
    waiting(): void {
      for (const [id, batch] of live) check(id, batch)
    },

    watch(id: string, listener: (tasks: TaskView[]) => void): () => void {
      const batch = join(id)
      // A wrapper, so that one function can watch twice.
      const own = (tasks: TaskView[]): void => listener(tasks)
      batch.listeners.add(own)
      return () => {
        batch.listeners.delete(own)
        leave(id, batch)
      }
    },

    settled(id: string): Promise<TaskView[]> {
      const batch = join(id)
      return new Promise((resolve) => {
        batch.waiters.add(resolve)
        check(id, batch)
      })
    },

    /** Nobody waits for ever on a fleet that has stopped. */
    stop(): void {
      stopped = true
      for (const [id, batch] of live) release(id, batch)
    },
  }
}
