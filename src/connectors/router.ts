import { implement, type Router } from '@orpc/server'
import { type CallContext, callNames, contract, type Contract, operationMeta } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { NodeOperations, StreamReader } from '#src/node/operations.ts'

export type NodeRouter = Router<Contract, { idempotencyKey?: string }>

/** A procedure of the contract, waiting for what carries it out. The generic form of all of them. */
interface Implementable {
  handler(
    carryOut: (call: { input: unknown; context: CallContext } & StreamReader) => Promise<unknown>,
  ): unknown
}

/** The contract, carried out by a node. Inputs and outputs are checked against the contract on the way. */
export function createRouter(operations: NodeOperations): NodeRouter {
  const implementer = implement(contract).$context<CallContext>() as unknown as Record<
    string,
    Record<string, Implementable>
  >
  const router: Record<string, Record<string, unknown>> = {}
  for (const name of callNames()) {
    const [group, operation] = name.split('.') as [string, string]
    const needsKey = operationMeta(name).kind !== 'read'
    const takesInput = operationTakesInput(group, operation)
    const carryOut = operations[name] as (
      input: unknown,
      call: CallContext,
      reader: StreamReader,
    ) => Promise<unknown>
    const procedure = implementer[group]?.[operation]
    if (procedure === undefined) throw new TypeError(`no operation ${name}`)
    router[group] ??= {}
    router[group][operation] = procedure.handler(async ({ input, context, signal, lastEventId }) => {
      if (!takesInput) refuseFields(input)
      if (needsKey && context.idempotencyKey === undefined) fail('IDEMPOTENCY_KEY_REQUIRED')
      return carryOut(takesInput ? input : undefined, context, { signal, lastEventId })
    })
  }
  return router as NodeRouter
}

function operationTakesInput(group: string, operation: string): boolean {
  const procedures = contract as unknown as Record<
    string,
    Record<string, { '~orpc': { inputSchema?: unknown } }>
  >
  return procedures[group]?.[operation]?.['~orpc'].inputSchema !== undefined
}

/** An operation without a schema takes nothing, and says so like one with a strict schema does. */
function refuseFields(input: unknown): void {
  if (typeof input !== 'object' || input === null) return
  const [field] = Object.keys(input)
  if (field !== undefined) fail('BAD_INPUT', { field, reason: 'this operation takes no input' })
}
