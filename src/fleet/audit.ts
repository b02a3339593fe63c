import { FleetError, toFleetError } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { Actor, TaskStatus } from '#src/store/schema.ts'
import type { Journal } from './journal.ts'
import { errorJson } from './journal-rows.ts'

/** Something under way that is on record. Its first end is the one that counts. */
export interface OnRecord {
  applied(): void
  failed(error: unknown): void
  /** Whoever wanted it does not want it any more. */
  cancelled(): void
}

/**
 * Puts on record what goes to a server beside the queue: before it is begun, and then what became of it. Until then, and
 * for good if this process ends before, the row says that nobody knows.
 */
export function createAudit(deps: { sqlite: Sqlite; journal: Journal; runtime: Pick<Runtime, 'now'> }) {
  const { sqlite, journal, runtime } = deps
  const conclude = sqlite.prepare(
    `update server_tasks set status = @status, error = @error, finished_at = @now where id = @id`,
  )

  /** @param id on record already, it is the same request again */
  return (about: {
    id: string
    serverId: number
    operation: string
    /** Without secrets. */
    input: unknown
    actor: Actor
  }): OnRecord => {
    const { id } = about
    const now = runtime.now()
    if (journal.get(id) === undefined) {
      const error = new FleetError('OUTCOME_UNKNOWN')
      const task = { ...about, batch: id, secretPaths: [], nextAttemptAt: now, expiresAt: now }
      sqlite.transaction(() => journal.append({ ...task, status: 'failed', error })).immediate()
    }
    let isOpen = true
    const end = (status: TaskStatus, error: FleetError | null): void => {
      if (isOpen) conclude.run({ id, status, error: errorJson(error), now: runtime.now() })
      isOpen = false
    }
    return {
      applied: () => end('applied', null),
      failed: (error) => end('failed', toFleetError(error, id)),
      cancelled: () => end('cancelled', null),
    }
  }
}
