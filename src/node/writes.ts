/**
 * The one way a change is made on a node:
 *
 *   applying   rows, the key and how to undo them are committed together
 *   hot-apply  Xray is told
 *   applied    the answer is committed; or the rows are put back, Xray is told again, and the failure is committed
 *
 * A kill between any two of these leaves an `applying` row, which `settle` brings to its true outcome at the next
 * start. A repeated key gets that outcome, never a second change. At most one change is `applying` at any time.
 */
import type { CallContext } from '#src/contract/index.ts'
import { FleetError, fail, toFleetError } from '#src/errors.ts'
import { type Faults, noFaults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { hashOf } from './canonical.ts'
import { createDoubt } from './doubt.ts'
import { createOutcomes } from './outcomes.ts'
import type { PositionStore } from './position.ts'
import type { RowsView } from './rows-view.ts'
import { createSerial } from './serial.ts'
import { type Command, type Scope, type Snapshot, createSnapshots } from './snapshot.ts'

export interface Plan {
  /** Rows as they are now that the change touches. */
  before: Scope
  /** Writes the rows, inside the transaction. Returns every row touched, new ones too. */
  commit(changeSeq: number): Scope
  /** What is done instead of telling Xray of rows; not repeated after a kill. */
  effect?(): Promise<void>
  /** Beside an effect: what `push` knows by whether it was done. */
  command?: Command | undefined
}

export interface WriteRequest {
  operation: string
  input: unknown
  call: CallContext
  /** Checks the request against rows and Xray. Changes nothing; throws coded errors. */
  plan: () => Promise<Plan>
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
  /** Compares all of the running Xray with the rows, opens these inbounds anew, and mends what differs: so much. */
  reconcile: (reopen: readonly number[]) => Promise<number>
  faults?: Faults | undefined
}

/** One change, as it is asked for again. */
interface Change {
  key: string
  operation: string
  inputHash: string
}

/** Twice as long as a task may wait for a server: no key is forgotten while it may still be repeated. */
const KEEP_OUTCOMES_MS = 14 * 24 * 60 * 60 * 1000
/** Forgetting walks over all outcomes, so it is not done with every change; an agent may run for years. */
const FORGET_EVERY_MS = 24 * 60 * 60 * 1000

export type Writes = ReturnType<typeof createWrites>

export function createWrites(deps: WriteDeps) {
  const { db, box, runtime, log, position, view, push, answer, reconcile, faults = noFaults } = deps
  const serial = createSerial()
  const snapshots = createSnapshots(db)
  const doubt = createDoubt(db)
  const outcomes = createOutcomes(db, box, () => runtime.now())

  let forgotAt = runtime.now()
  /** Whether a change stands in the rows whose outcome could not be written, as on a full disk. */
  let unsettled = false

  /** Outcomes nobody can ask for any more. */
  function forgetOld(): void {
    forgotAt = runtime.now()
    outcomes.prune(forgotAt - KEEP_OUTCOMES_MS)
  }

  const commitApplying = db.transaction((change: Change, planned: Plan): string => {
    const taken = snapshots.take(planned.before)
    const { command } = planned
    const undo = JSON.stringify({ ...taken, command, scope: planned.commit(position.nextChange()) })
    outcomes.begin({ ...change, undo })
    return undo
  })
  const commitTakenBack = db.transaction((change: Change, snapshot: Snapshot, error: FleetError): void => {
    const moved = { changeSeq: position.nextChange(), trafficSeq: position.nextTraffic() }
    snapshots.restore(snapshot, moved)
    doubt.add(snapshot.scope.inbounds)
    // What may pass is forgotten, so that the same key can be tried again; anything else is the key's outcome.
    if (error.retryable) outcomes.forget(change.key)
    else outcomes.refused(change, error)
  })

  /** Puts the rows back and tells Xray so. */
  async function compensate(change: Change, snapshot: Snapshot, error: FleetError): Promise<void> {
    const failed = snapshots.take(snapshot.scope)
    settled(() => commitTakenBack.immediate(change, snapshot, error))
    try {
      await push(failed, view())
      doubt.clear()
    } catch (again) {
      // The rows are right, and Xray is compared with them before the next change, or soon.
      log.error({ error: again }, 'Xray could not be told that a change was taken back')
    }
  }

  /**
   * Commits an outcome. One that cannot be written stays open: whoever asks again under the key brings the change to
   * its end, and so does the next change before it begins.
   */
  function settled(commit: () => void): void {
    try {
      commit()
    } catch (cause) {
      fail('CHANGE_UNSETTLED', { reason: cause instanceof Error ? cause.message : 'unknown' }, { cause })
    }
    unsettled = false
  }

  async function mend(): Promise<void> {
    const reopen = doubt.read()
    if (reopen === undefined) return
    try {
      const mended = await reconcile(reopen)
      doubt.clear()
      if (mended > 0) log.warn({ mended }, 'Xray differed from the database and was mended')
    } catch (error) {
      // What it refuses it refused at its start too; health tells of that.
      log.error({ error }, 'Xray could not be brought in line with the database')
    }
  }

  /** Brings to its end what a kill, or a full disk, has interrupted. A refusal is on record under its key. */
  async function settleOpen(onRefused: (error: unknown) => void): Promise<void> {
    for (const change of outcomes.open()) {
      try {
        await settleOne(change)
      } catch (error) {
        if (unsettled) throw error
        onRefused(error)
      }
    }
  }

  /**
   * A refusal is the key's outcome too. Not kept, the same request, held up on its way and long given up, could be
   * carried out once the reason has gone, though its sender was told that it was refused.
   */
  async function planOrRefuse(change: Change, plan: WriteRequest['plan']): Promise<Plan> {
    try {
      return await plan()
    } catch (thrown) {
      const isLastWord = thrown instanceof FleetError && !thrown.retryable && thrown.code !== 'INTERNAL'
      if (isLastWord) outcomes.refused(change, thrown)
      throw thrown
    }
  }

  async function execute<R>({ operation, input, call, plan }: WriteRequest): Promise<R> {
    const key = call.idempotencyKey ?? fail('IDEMPOTENCY_KEY_REQUIRED')
    const inputHash = hashOf({ operation, input })
    const known = outcomes.find(key)
    if (known !== undefined) {
      if (known.inputHash !== inputHash) fail('IDEMPOTENCY_CONFLICT')
      if (known.status !== 'applying') return outcomes.answer(known) as R
      return settleOne<R>({ ...known, undo: known.undo ?? '' })
    }
    if (runtime.now() - forgotAt >= FORGET_EVERY_MS) forgetOld()
    // Taken back later, it would take what came after it along.
    if (unsettled) await settleOpen((error) => log.warn({ error }, 'an interrupted change was taken back'))
    await mend()
    const change = { key, operation, inputHash }
    const planned = await planOrRefuse(change, plan)
    const undo = commitApplying.immediate(change, planned)
    await faults.at('applying committed', operation)
    return settleOne<R>({ ...change, undo }, () => planned.effect?.())
  }

  /**
   * From `applying` to the outcome, the same way at first and after a kill: pushing may be repeated, and what Xray
   * refuses is taken back.
   */
  async function settleOne<R>(
    change: Change & { undo: string },
    effect?: () => Promise<void> | undefined,
  ): Promise<R> {
    unsettled = true
    const snapshot = JSON.parse(change.undo) as Snapshot
    const now = view()
    try {
      await effect?.()
      await push(snapshot, now)
    } catch (thrown) {
      const error = toFleetError(thrown, randomId(runtime, 64))
      await compensate(change, snapshot, error)
      throw error
    }
    await faults.at('hot-applied', change.operation)
    const result = answer(change.operation, snapshot, now)
    settled(() => outcomes.applied(change.key, result))
    await faults.at('result committed', change.operation)
    return result as R
  }

  return {
    run: <R>(request: WriteRequest): Promise<R> => serial(() => execute(request)),

    /** Whether something was asked for under this key before. */
    isKnown: (key: string): boolean => outcomes.find(key) !== undefined,

    /** Settles whatever a kill interrupted, and forgets outcomes nobody can ask for any more. */
    settle: (onRefused: (error: unknown) => void): Promise<void> =>
      serial(async () => {
        forgetOld()
        await settleOpen(onRefused).catch(onRefused)
      }),

    /** Xray may differ from the rows, and these inbounds may listen otherwise: `mend` is owed until it succeeds. */
    suspect: (inbounds: readonly number[]): void => doubt.add(inbounds),
    /** Compares Xray with the rows and mends what differs, where there is reason to believe so. Never rejects. */
    mend: (): Promise<void> => serial(mend),

    /** Runs work that must not meet a change half made, such as a restart of Xray. */
    exclusive: serial,
  }
}
