/** A change as it is asked for, and what is to be done for it. */
import type { CallContext } from '#src/contract/index.ts'
import type { KnownRows } from '../rows/rows-view.ts'
import type { Command, Scope } from '../rows/snapshot.ts'

export interface Plan {
  /** Rows as they are now that the change touches. */
  before: Scope
  /** Writes the rows, inside the transaction. Returns every row touched, new ones too. */
  commit(changeSeq: number): Scope
  /** What is done instead of telling Xray of rows; not repeated after a kill. */
  effect?: () => Promise<void>
  /** Beside an effect: what `push` knows by whether it was done. */
  command?: Command | undefined
  /** Rows as `commit` leaves them, where the change has them at hand: they are not read again. */
  known?: KnownRows
}

export interface WriteRequest {
  operation: string
  input: unknown
  call: CallContext
  /** Checks the request against rows and Xray. Changes nothing; throws coded errors. */
  plan: () => Promise<Plan>
}
