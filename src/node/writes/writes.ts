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
import { setImmediate as nextTurn } from 'node:timers/promises'
import { FleetError, fail, toFleetError } from '#src/errors.ts'
import { type Faults, noFaults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import { type Sqlite, withNextCommit } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { createSerial } from '#src/xray/life/serial.ts'
import { hashOf } from '../rows/canonical.ts'
import { createDoubt } from './doubt.ts'
import { type Change, createOutcomes } from './outcomes.ts'
import type { Plan, WriteRequest } from './plan.ts'
import type { PositionStore } from '../rows/position.ts'
import type { KnownRows, RowsView } from '../rows/rows-view.ts'
import { type Snapshot, createSnapshots, standingsOf } from '../rows/snapshot.ts'

export interface WriteDeps {
  db: Sqlite
  box: SecretBox
  runtime: Runtime
  /** ms that never jump: how old an outcome is. As `runtime.now` unless told. */
  age?: (() => number) | undefined
  log: Log
  position: PositionStore
  /** Rows as they are now. A view is used for one change only, since it remembers. */
  view: (known?: KnownRows) => RowsView
  /** Makes the running Xray agree with the rows of a scope, given how they were before. No Xray running: no work. */
  push: (before: Snapshot, now: RowsView) => Promise<void>
  /** The answer to an operation, from its rows before and now: it can be given again after a kill. */
  answer: (operation: string, before: Snapshot, now: RowsView) => unknown
  /** Compares all of the running Xray with the rows, opens these inbounds anew, and mends what differs: so much. */
  reconcile: (reopen: readonly number[]) => Promise<number>
  /** Told of every change that has come about, after it is on record; of one that a kill meets, perhaps twice. Must not throw. */
  applied?: ((before: Snapshot, now: RowsView) => void) | undefined
  faults?: Faults | undefined
}

const snapshotOf = ({ undo }: { undo: string | null }): Snapshot => JSON.parse(undo ?? '') as Snapshot

export type Writes = ReturnType<typeof createWrites>

export function createWrites(deps: WriteDeps) {
  const { db, box, runtime, log, position, view, push, answer, reconcile, applied, faults = noFaults } = deps
  const serial = createSerial()
  const snapshots = createSnapshots(db)
  const doubt = createDoubt(db)
  const outcomes = createOutcomes(db, box, deps.age ?? (() => runtime.now()))

  /** Whether a change stands in the rows whose outcome could not be written, as on a full disk. */
  let unsettled = false

  const commitApplying = db.transaction((change: Change, planned: Plan): Snapshot => {
    const taken = snapshots.take(planned.before)
    const { command } = planned
    const made = { ...taken, command, scope: planned.commit(position.nextChange()) }
    const snapshot = snapshots.withoutPresent(made)
    outcomes.begin({ ...change, undo: JSON.stringify(snapshot) })
    return snapshot
  })
  const commitTakenBack = db.transaction(
    (change: Change, snapshot: Snapshot, failed: Snapshot, error: FleetError): void => {
      const moved = { changeSeq: position.nextChange(), trafficSeq: position.nextTraffic() }
      snapshots.restore(snapshot, moved)
      // Those its clients stood in too: of some Xray cannot be asked who their users are.
      doubt.add([...snapshot.scope.inbounds, ...standingsOf(snapshot), ...standingsOf(failed)])
      // What may pass is forgotten, so that the same key can be tried again; anything else is the key's outcome.
      if (error.retryable) outcomes.forget(change.key)
      else outcomes.refused(change, error)
    },
  )

  /**
   * A power cut ends Xray too, which then begins with the rows: of a change whose outcome is not on the disk nothing
   * is left but perhaps an effect, and that must find its beginning.
   */
  function begun(change: Change, planned: Plan): Snapshot {
    const commit = (): Snapshot => commitApplying.immediate(change, planned)
    return planned.effect === undefined ? withNextCommit(db, commit) : commit()
  }

  /** Puts the rows back and tells Xray so. */
  async function compensate(change: Change, snapshot: Snapshot, error: FleetError): Promise<void> {
    const failed = snapshots.take(snapshot.scope)
    settled(() => commitTakenBack.immediate(change, snapshot, failed, error))
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
        await settleOne(change, snapshotOf(change))
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
      return settleOne<R>(known, snapshotOf(known))
    }
    outcomes.forgetOldDaily()
    // Taken back later, it would take what came after it along.
    if (unsettled) await settleOpen((error) => log.warn({ error }, 'an interrupted change was taken back'))
    await mend()
    const change = { key, operation, inputHash }
    const planned = await planOrRefuse(change, plan)
    const snapshot = begun(change, planned)
    await faults.at('applying committed', operation)
    return settleOne<R>(change, snapshot, planned)
  }

  /**
   * From `applying` to the outcome, the same way at first and after a kill: pushing may be repeated, and what Xray
   * refuses is taken back. So is what cannot be answered: left open, it would keep every other change from its turn.
   */
  async function settleOne<R>(change: Change, snapshot: Snapshot, planned: Partial<Plan> = {}): Promise<R> {
    unsettled = true
    const now = view(planned.known)
    let concluded
    try {
      concluded = await carriedOut(change, snapshot, now, planned)
    } catch (thrown) {
      const error = toFleetError(thrown, randomId(runtime, 64))
      await compensate(change, snapshot, error)
      throw error
    }
    settled(() => outcomes.applied(change.key, concluded.sealed))
    applied?.(snapshot, now)
    await faults.at('result committed', change.operation)
    return concluded.result as R
  }

  /** Does it, as far as Xray is concerned, and makes the answer. */
  async function carriedOut(
    change: Change,
    snapshot: Snapshot,
    now: RowsView,
    planned: Partial<Plan>,
  ): Promise<{ result: unknown; sealed: string }> {
    const hotApply = async (): Promise<void> => {
      await planned.effect?.()
      await push(snapshot, now)
    }
    const conclude = (): { result: unknown; sealed: string } => {
      const result = answer(change.operation, snapshot, now)
      return { result, sealed: outcomes.seal(change.key, result) }
    }
    const [pushed, answered] = await Promise.allSettled([
      hotApply(),
      // The rows stand: their answer is made while Xray is at work. A command is answered with what it did.
      snapshot.command === undefined ? nextTurn().then(conclude) : undefined,
    ])
    if (pushed.status === 'rejected') throw pushed.reason
    await faults.at('hot-applied', change.operation)
    if (answered.status === 'rejected') throw answered.reason
    return answered.value ?? conclude()
  }

  return {
    run: <R>(request: WriteRequest): Promise<R> => serial(() => execute(request)),

    /** Whether a change was begun or refused under a key: then asking for it again needs no preparation. */
    isKnown: (key: string): boolean => outcomes.find(key) !== undefined,

    /** Settles whatever a kill interrupted, and forgets outcomes nobody can ask for any more. */
    settle: (onRefused: (error: unknown) => void): Promise<void> =>
      serial(async () => {
        outcomes.forgetOld()
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
