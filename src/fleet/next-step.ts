import { type OperationName, operationMeta } from '#src/contract/index.ts'
import type { FleetError } from '#src/errors.ts'
import type { Journal, TaskRow } from './journal.ts'
import { type Step, disabledFor, heldBy, isAway, nextStep, unreachable } from './retry.ts'
import type { Server } from './types.ts'

export type Next =
  | { do: 'nothing' }
  | { do: 'send' | 'expire'; task: TaskRow }
  | { do: 'refuse'; tasks: TaskRow[]; error: FleetError }
  /** `until`: ms since the epoch */
  | { do: 'wait'; until: number }

/**
 * What the queue of a server does next, as its journal has it: its tasks in order, but what is for this moment only
 * does not wait behind what waits. Only reads.
 */
export function createNext(journal: Pick<Journal, 'nextOpen' | 'open' | 'switches'>) {
  /** Until when a task may be sent, ms: while somebody keeps its server disabled, the time for it stands still. */
  function expiryOf(task: TaskRow, { id, enabled }: Server, now: number): number {
    if (isForTheMoment(task)) return task.expiresAt
    if (!enabled) return Infinity
    if (now < task.expiresAt) return task.expiresAt
    return task.expiresAt + disabledFor(journal.switches(id, task.seq), task.createdAt)
  }

  return (server: Server, { kicked, now }: { kicked: boolean; now: number }): Next => {
    const held = heldBy(server)
    const stepOf = (task: TaskRow): Step => {
      const expiresAt = expiryOf(task, server, now)
      return nextStep({ task: { ...task, expiresAt }, held: held !== undefined, kicked, now })
    }
    const first = journal.nextOpen(server.id)
    if (first === undefined) return { do: 'nothing' }
    const step = stepOf(first)
    if (step.do !== 'wait') return { do: step.do, task: first }

    const ofTheMoment = journal.open(server.id).filter(isForTheMoment)
    // One that was sent may have been carried out: that is for its server to say.
    const refused = isAway(server) ? ofTheMoment.filter(({ attempts }) => attempts === 0) : []
    if (refused.length > 0) return { do: 'refuse', tasks: refused, error: unreachable(held) }
    let { until } = step
    for (const task of ofTheMoment) {
      const its = stepOf(task)
      if (its.do !== 'wait') return { do: its.do, task }
      until = Math.min(until, its.until)
    }
    return { do: 'wait', until }
  }
}

function isForTheMoment({ operation }: TaskRow): boolean {
  return operationMeta(operation as OperationName).whenOffline === 'refuse'
}
