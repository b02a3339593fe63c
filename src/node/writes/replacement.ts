/**
 * A change of all of the node's rows at once. It is not taken back: rows, outcome and the doubt about Xray are one
 * commit, so that a kill leaves the old state or the new; then Xray is compared with the rows, now or at the next start,
 * as after a copy of the database was put back.
 */
import type { CallContext } from '#src/contract/index.ts'
import { FleetError, fail } from '#src/errors.ts'
import { type Faults, noFaults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { createOutcomes } from './outcomes.ts'
import type { Writes } from './writes.ts'

export interface Replacement<R> {
  operation: string
  /** What a repeated key must repeat. */
  inputHash: string
  call: CallContext
  /** Everything that can be known to be wrong, before anything is changed. Throws coded errors. */
  plan: () => Promise<{
    /** Inbounds that will listen otherwise than Xray was told. */
    reopen: readonly number[]
    /** Writes the rows, inside the transaction. */
    commit: () => R
  }>
}

export type Replacements = ReturnType<typeof createReplacements>

export function createReplacements(deps: {
  db: Sqlite
  box: SecretBox
  runtime: Pick<Runtime, 'now'>
  log: Log
  writes: Writes
  faults?: Faults | undefined
}) {
  const { db, box, runtime, log, writes, faults = noFaults } = deps
  const outcomes = createOutcomes(db, box, () => runtime.now())

  async function execute<R>({ operation, inputHash, call, plan }: Replacement<R>): Promise<R> {
    const key = call.idempotencyKey ?? fail('IDEMPOTENCY_KEY_REQUIRED')
    const known = outcomes.find(key)
    if (known !== undefined && known.inputHash !== inputHash) fail('IDEMPOTENCY_CONFLICT')
    if (known !== undefined && known.status !== 'applying') return outcomes.answer(known) as R
    // Taken back later, it would take a part of this along.
    if (outcomes.open().length > 0) {
      fail('CHANGE_UNSETTLED', { reason: 'a change before it has not come to its end' })
    }
    const change = { key, operation, inputHash }
    const planned = await plan().catch((error: unknown) => {
      // Once the reason has gone, the same request, long given up, must not be carried out after all.
      if (error instanceof FleetError && !error.retryable && error.code !== 'INTERNAL')
        outcomes.refused(change, error)
      throw error
    })
    const commit = db.transaction((): R => {
      const answer = planned.commit()
      outcomes.begin({ ...change, undo: '' })
      outcomes.applied(key, outcomes.seal(key, answer))
      writes.suspect(planned.reopen)
      return answer
    })
    const answer = commit.immediate()
    await faults.at('result committed', operation)
    return answer
  }

  return {
    async run<R>(replacement: Replacement<R>): Promise<R> {
      const { operation } = replacement
      await writes.settle((error) => log.warn({ error }, 'an interrupted change was taken back'))
      const answer = await writes.exclusive(() => execute(replacement))
      await writes.mend()
      await faults.at('hot-applied', operation)
      return answer
    },
  }
}
