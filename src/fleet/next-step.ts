import { type OperationName, operationMeta } from '#src/contract/index.ts'
import type { FleetError } from '#src/errors.ts'
import type { Journal, TaskRow } from './journal.ts'
import { disabledFor, heldBy, nextStep, unreachable } from './retry.ts'
import type { Server } from './types.ts'

export type Next =
  | { do: 'nothing' }
  | { do: 'send' | 'expire'; task: TaskRow }
  | { do: 'refuse'; tasks: TaskRow[]; error: FleetError }
  /** `until`: ms since the epoch */
  | { do: 'wait'; until: number }

/** What the queue of a server does next, as its journal has it. Only reads. */
export function createNext(journal: Pick<Journal, 'nextOpen' | 'open' | 'switches'>) {
  /** Until when a task may be sent, ms: while somebody keeps its server disabled, the time for it stands still. */
  function expiryOf(task: TaskRow, { id, enabled }: Server, now: number): number {
    if (isForTheMoment(task)) return task.expiresAt
    if (!enabled) return Infinity
    if (now < task.expiresAt) return task.expiresAt
    return task.expiresAt + disabledFor(journal.switches(id, task.seq), task.createdAt)
  }

  return (server: Server, { kicked, now }: { kicked: boolean; now: number }): Next => {
    const task = journal.nextOpen(server.id)
    if (task === undefined) return { do: 'nothing' }
    const held = heldBy(server)
    const expiresAt = expiryOf(task, server, now)
    const step = nextStep({ task: { ...task, expiresAt }, held: held !== undefined, kicked, now })
    if (step.do !== 'wait') return { do: step.do, task }
    // What is for this moment only must not wait behind what can wait.
    const refused = journal
      .open(server.id)
      // One that was sent may have been carried out: that is for its server to say.
      .filter((each) => each.attempts === 0 && isForTheMoment(each))
    if (refused.length > 0) return { do: 'refuse', tasks: refused, error: unreachable(held) }
    return step
  }
}

function isForTheMoment({ operation }: TaskRow): boolean {
  return operationMeta(operation as OperationName).whenOffline === 'refuse'
}
