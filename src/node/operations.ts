import type { CallContext, OperationName, OperationOutput, ParsedInput } from '#src/contract/index.ts'

/**
 * A node: the implementation of every operation of the contract for one server. Inputs are checked already.
 * A failure is a FleetError.
 */
export type NodeOperations = {
  [N in OperationName]: (input: ParsedInput<N>, call: CallContext) => Promise<OperationOutput<N>>
}
