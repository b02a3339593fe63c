import type { CallContext, OperationName, OperationOutput, ParsedInput } from '#src/contract/index.ts'

/** Who reads a stream. */
export interface StreamReader {
  /** Says that the reader has gone. */
  signal?: AbortSignal | undefined
  /** What it had before it was cut off. */
  lastEventId?: string | undefined
}

/**
 * A node: the implementation of every operation of the contract for one server. Inputs are checked already.
 * A failure is a FleetError.
 */
export type NodeOperations = {
  [N in OperationName]: (
    input: ParsedInput<N>,
    call: CallContext,
    ...reader: OperationOutput<N> extends AsyncIterable<unknown> ? [StreamReader] : []
  ) => Promise<OperationOutput<N>>
}
