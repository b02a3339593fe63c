/** Commands change no rows, but go the way of every change: a repeated key must not restart Xray twice. */
import type { CallContext, OperationName } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { createSerial } from '#src/xray/life/serial.ts'
import type { Engine } from './engine.ts'
import type { Command } from '../rows/snapshot.ts'
import type { Plan } from '../writes/plan.ts'
import type { Writes } from '../writes/writes.ts'

/** How a kind of command comes to its end. */
export interface CommandKind {
  /**
   * After it was carried out; or after a kill, which may have come before that. Then it was not, and is not now, when
   * nobody expects it: whoever still wants it sends it again. @throws FleetError
   */
  requireDone(command: Command): void | Promise<void>
  /** What is answered: now, and after a kill. */
  answer(command: Command): unknown
}

/** What a command is found to be once it is prepared. */
export interface Prepared {
  /** What it is done to; kept beside the change, so as JSON. */
  target: object | null
  effect: () => Promise<void>
  /** After it was carried out, or was not. */
  end?: () => Promise<void>
}

export type Commands = ReturnType<typeof createCommands>

export function createCommands({ writes, engine }: { writes: Writes; engine: Pick<Engine, 'state'> }) {
  const prepareOne = createSerial()
  const nothing = { inbounds: [], clients: [] }

  const planOf = (operation: OperationName, { effect, target }: Prepared): Plan => ({
    before: nothing,
    commit: () => nothing,
    effect,
    command: { operation, xrayBefore: engine.state().startedAt, target },
  })

  return {
    /** Carries a command out at once. */
    run: <R>(operation: OperationName, call: CallContext, effect: () => Promise<void>): Promise<R> =>
      writes.run({
        operation,
        input: null,
        call,
        plan: async () => planOf(operation, { target: null, effect }),
      }),

    /**
     * Carries a command out that takes minutes to prepare. That goes on beside all other changes, one such command at a
     * time; its failure is the key's outcome like any other.
     */
    runPrepared: <R>(
      operation: OperationName,
      input: unknown,
      call: CallContext,
      prepare: () => Promise<Prepared>,
    ): Promise<R> =>
      prepareOne(async () => {
        const key = call.idempotencyKey ?? fail('IDEMPOTENCY_KEY_REQUIRED')
        // Its outcome is on record, or follows: nothing is to be prepared.
        const prepared = writes.isKnown(key) ? null : await settledOf(prepare())
        try {
          return await writes.run<R>({
            operation,
            input,
            call,
            plan: async () => {
              if (prepared === null) throw new TypeError(`${key} was known and is not any more`)
              if (prepared.status === 'rejected') throw prepared.reason
              return planOf(operation, prepared.value)
            },
          })
        } finally {
          if (prepared?.status === 'fulfilled') await prepared.value.end?.()
        }
      }),
  }
}

async function settledOf<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [result] = await Promise.allSettled([work])
  return result
}
