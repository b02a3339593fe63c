import type { Params } from './params.ts'
import type { World } from './world.ts'

/** What a method may use beside its parameters. */
export interface CallContext {
  world: World
  /** Aborted when the caller hung up. */
  gone: AbortSignal
}

/** A Bot API method: returns `result` or throws a Refusal. */
export type Method = (params: Params, context: CallContext) => unknown

/** Methods by their name in lower case: Telegram does not care about case. */
export type MethodTable = ReadonlyMap<string, Method>

/** Builds a table from methods written under their real names. */
export function methodTable(...groups: Record<string, Method>[]): MethodTable {
  return new Map(
    groups.flatMap((group) => Object.entries(group)).map(([name, run]) => [name.toLowerCase(), run]),
  )
}
