/**
 * The one way a change is made on a node:
 *
 *   applying   rows, the key and how to undo them are committed together
 *   hot-apply  Xray is told
 *   applied    the answer is committed; or the rows are put back, Xray is told again, and the failure is committed
 *
 * A kill between any two of these leaves an `applying` row, which `settle` brings to its true outcome at the next
 * start. A repeated key gets that outcome, never a second change.
 */
import type { CallContext } from '#src/contract/index.ts'
import { type ErrorCode, type ErrorDetails, FleetError, fail, toFleetError } from '#src/errors.ts'
import { type Faults, noFaults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { hashOf } from './canonical.ts'
import type { PositionStore } from './position.ts'
import type { RowsView } from './rows-view.ts'
import { createSerial } from './serial.ts'
import { type Scope, type Snapshot, createSnapshots } from './snapshot.ts'

export interface Plan {
  /** Rows as they are now that the change touches. */
  before: Scope
  /** Writes the rows, inside the transaction. Returns every row touched, new ones too. */
  commit(changeSeq: number): Scope
  /** What is done instead of telling Xray of rows; not repeated after a kill. */
  effect?(): Promise<void>
}

export interface WriteRequest {
  operation: string
  input: unknown
  call: CallContext
  /** Checks the request against rows and Xray. Changes nothing; throws coded errors. */
  plan: () => Promise<Plan>
}

interface AppliedTask {
  operation: string
  inputHash: string
  status: 'applying' | 'applied' | 'failed'
  undo: string | null
  result: string | null
  error: string | null
}

export interface WriteDeps {
  db: Sqlite
  box: SecretBox
  runtime: Runtime
  log: Log
  position: PositionStore
  /** Rows as they are now. A view is used for one change only, since it remembers. */
  view: () => RowsView
  /** Makes the running Xray agree with the rows of a scope, given how they were before. No Xray running: no work. */
  push: (before: Snapshot, now: RowsView) => Promise<void>
  /** The answer to an operation, from its rows before and now: it can be given again after a kill. */
  answer: (operation: string, before: Snapshot, now: RowsView) => unknown
  faults?: Faults | undefined
}

/** Twice as long as a task may wait for a server: no key is forgotten while it may still be repeated. */
const KEEP_OUTCOMES_MS = 14 * 24 * 60 * 60 * 1000
/** Forgetting walks over all outcomes, so it is not done with every change; an agent may run for years. */
const FORGET_EVERY_MS = 24 * 60 * 60 * 1000

export type Writes = ReturnType<typeof createWrites>

export function createWrites(deps: WriteDeps) {
  const { db, box, runtime, log, position, view, push, answer, faults = noFaults } = deps
  const serial = createSerial()
  const snapshots = createSnapshots(db)
  const find = db.prepare(
    'select operation, input_hash as inputHash, status, undo, result, error from applied_tasks where key = ?',
  )
  const begin = db.prepare(
    `insert into applied_tasks (key, operation, input_hash, status, undo, created_at)
     values (?, ?, ?, 'applying', ?, ?)`,
  )
  const finish = db.prepare(
    `update applied_tasks set status = 'applied', undo = null, result = ?, finished_at = ? where key = ?`,
  )
  const refuse = db.prepare(
    `update applied_tasks set status = 'failed', undo = null, error = ?, finished_at = ? where key = ?`,
  )
  const forget = db.prepare('delete from applied_tasks where key = ?')
  const prune = db.prepare("delete from applied_tasks where status <> 'applying' and created_at < ?")
  const open = db.prepare(
    "select key, operation, undo from applied_tasks where status = 'applying' order by created_at",
  )

  let forgotAt = runtime.now()

  /** Outcomes nobody can ask for any more. */
  function forgetOld(): void {
    forgotAt = runtime.now()
    prune.run(forgotAt - KEEP_OUTCOMES_MS)
  }

  const resultPlace = (key: string): string => `applied_tasks:${key}:result`

  const commitApplying = db.transaction(
    (key: string, operation: string, inputHash: string, planned: Plan): string => {
      const taken = snapshots.take(planned.before)
      const snapshot = JSON.stringify({ ...taken, scope: planned.commit(position.nextChange()) })
      begin.run(key, operation, inputHash, snapshot, runtime.now())
      return snapshot
    },
  )
  const commitTakenBack = db.transaction((key: string, snapshot: Snapshot, error: FleetError): void => {
    const moved = { changeSeq: position.nextChange(), trafficSeq: position.nextTraffic() }
    snapshots.restore(snapshot, moved)
    // What may pass is forgotten, so that the same key can be tried again; anything else is the key's outcome.
    if (error.retryable) forget.run(key)
    else refuse.run(JSON.stringify({ code: error.code, details: error.details }), runtime.now(), key)
  })

  function outcome<R>(key: string, task: AppliedTask): R {
    if (task.status === 'failed') {
      const { code, details } = JSON.parse(task.error ?? '{}') as { code: ErrorCode; details: ErrorDetails }
      fail(code, details)
    }
    return JSON.parse(box.open(task.result ?? '', resultPlace(key))) as R
  }

  /** Puts the rows back and tells Xray so. */
  async function compensate(key: string, snapshot: Snapshot, error: FleetError): Promise<void> {
    const failed = snapshots.take(snapshot.scope)
    commitTakenBack.immediate(key, snapshot, error)
    try {
      await push(failed, view())
    } catch (again) {
      // The rows are right; the next start of Xray renders them, and the next start of ours compares the two.
      log.error({ error: again }, 'Xray could not be told that a change was taken back')
    }
  }

  async function execute<R>({ operation, input, call, plan }: WriteRequest): Promise<R> {
    const key = call.idempotencyKey ?? fail('IDEMPOTENCY_KEY_REQUIRED')
    const inputHash = hashOf({ operation, input })
    const known = find.get(key) as AppliedTask | undefined
    if (known !== undefined) {
      if (known.inputHash !== inputHash) fail('IDEMPOTENCY_CONFLICT')
      if (known.status !== 'applying') return outcome(key, known)
      return settleOne<R>(key, known)
    }
    if (runtime.now() - forgotAt >= FORGET_EVERY_MS) forgetOld()
    const planned = await plan()
    const undo = commitApplying.immediate(key, operation, inputHash, planned)
    await faults.at('applying committed', operation)
    return settleOne<R>(key, { operation, undo }, () => planned.effect?.())
  }

  /**
   * From `applying` to the outcome, the same way at first and after a kill: pushing may be repeated, and what Xray
   * refuses is taken back.
   */
  async function settleOne<R>(
    key: string,
    task: Pick<AppliedTask, 'operation' | 'undo'>,
    effect?: () => Promise<void> | undefined,
  ): Promise<R> {
    const snapshot = JSON.parse(task.undo ?? '{}') as Snapshot
    const now = view()
    try {
      await effect?.()
      await push(snapshot, now)
    } catch (thrown) {
      const error = toFleetError(thrown, randomId(runtime, 64))
      await compensate(key, snapshot, error)
      throw error
    }
    await faults.at('hot-applied', task.operation)
    const result = answer(task.operation, snapshot, now)
    finish.run(box.seal(JSON.stringify(result), resultPlace(key)), runtime.now(), key)
    await faults.at('result committed', task.operation)
    return result as R
  }

  return {
    run: <R>(request: WriteRequest): Promise<R> => serial(() => execute(request)),

    /** Settles whatever a kill interrupted, and forgets outcomes nobody can ask for any more. */
    settle: (onRefused: (error: unknown) => void): Promise<void> =>
      serial(async () => {
        forgetOld()
        for (const task of open.all() as (Pick<AppliedTask, 'operation' | 'undo'> & { key: string })[]) {
          // A refusal is on record under its key, for whoever asks again.
          await settleOne(task.key, task).catch(onRefused)
        }
      }),

    /** Runs work that must not meet a change half made, such as a restart of Xray. */
    exclusive: serial,
  }
}
