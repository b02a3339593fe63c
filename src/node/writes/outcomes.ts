import { type ErrorCode, type ErrorDetails, type FleetError, fail } from '#src/errors.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { DAY_MS } from '#src/runtime.ts'

/** One change, as it is asked for again. */
export interface Change {
  key: string
  operation: string
  inputHash: string
}

/** A change under way, and how to take it back: a snapshot as JSON. */
export interface OpenChange extends Change {
  undo: string
}

export interface KnownChange extends Omit<OpenChange, 'undo'> {
  status: 'applying' | 'applied' | 'failed'
  undo: string | null
  result: string | null
  error: string | null
}

/** Twice as long as a task may wait for a server: no key is forgotten while it may still be repeated. */
const KEEP_OUTCOMES_MS = 14 * DAY_MS
/** Forgetting walks over all outcomes, so it is not done with every change; an agent may run for years. */
const FORGET_EVERY_MS = DAY_MS

/**
 * What became of the changes of this node, by their keys.
 * @param now ms by a clock that should not jump: an outcome that is forgotten early is a change that may be made twice
 */
export function createOutcomes(db: Sqlite, box: SecretBox, now: () => number) {
  const find = db.prepare(
    'select key, operation, input_hash as inputHash, status, undo, result, error from applied_tasks where key = ?',
  )
  const begin = db.prepare(
    `insert into applied_tasks (key, operation, input_hash, status, undo, created_at)
     values (?, ?, ?, 'applying', ?, ?)`,
  )
  const finish = db.prepare(
    `update applied_tasks set status = 'applied', undo = null, result = ?, finished_at = ? where key = ?`,
  )
  const refuse = db.prepare(
    `insert into applied_tasks (key, operation, input_hash, status, error, created_at, finished_at)
     values (@key, @operation, @inputHash, 'failed', @error, @now, @now)
     on conflict (key) do update set status = 'failed', undo = null, error = excluded.error,
       finished_at = excluded.finished_at`,
  )
  const forget = db.prepare('delete from applied_tasks where key = ?')
  const prune = db.prepare("delete from applied_tasks where status <> 'applying' and created_at < ?")
  const open = db.prepare(
    "select key, operation, input_hash as inputHash, undo from applied_tasks where status = 'applying' order by created_at",
  )
  let forgotAt = now()

  function forgetOld(): void {
    forgotAt = now()
    prune.run(forgotAt - KEEP_OUTCOMES_MS)
  }

  const resultPlace = (key: string): string => `applied_tasks:${key}:result`

  return {
    find: (key: string) => find.get(key) as KnownChange | undefined,
    /** Changes without an outcome, oldest first. */
    open: () => open.all() as OpenChange[],

    begin(change: OpenChange): void {
      begin.run(change.key, change.operation, change.inputHash, change.undo, now())
    },

    /** A result as `applied` takes it: made apart, since it takes a while. */
    seal: (key: string, result: unknown): string => box.seal(JSON.stringify(result), resultPlace(key)),

    applied(key: string, sealedResult: string): void {
      finish.run(sealedResult, now(), key)
    },

    refused(change: Change, error: FleetError): void {
      const { key, operation, inputHash } = change
      const { code, details } = error
      refuse.run({ key, operation, inputHash, error: JSON.stringify({ code, details }), now: now() })
    },

    /** The key may be used again, for the same change. */
    forget: (key: string): void => void forget.run(key),
    /** Forgets outcomes nobody can ask for any more. */
    forgetOld,
    /** The same, where it has not been done for a day. */
    forgetOldDaily(): void {
      if (now() - forgotAt >= FORGET_EVERY_MS) forgetOld()
    },

    /** What was answered under a key. @throws what was refused under it */
    answer(change: KnownChange): unknown {
      if (change.status === 'failed') {
        const { code, details } = JSON.parse(change.error ?? '{}') as {
          code: ErrorCode
          details: ErrorDetails
        }
        fail(code, details)
      }
      return JSON.parse(box.open(change.result ?? '', resultPlace(change.key)))
    },
  }
}
