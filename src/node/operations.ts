import type {
  CallContext,
  CreateBackup,
  OperationName,
  OperationOutput,
  ParsedInput,
  ParsedRestore,
  RestoreReport,
} from '#src/contract/index.ts'

/** Those that carry a file. */
export interface StreamedOperations {
  /** The file, its header first. Nothing is done before the first of it is asked for. */
  'backups.create'(input: CreateBackup): Promise<AsyncIterable<Uint8Array>>
  'backups.restore'(
    input: ParsedRestore,
    call: CallContext,
    file: AsyncIterable<Uint8Array>,
  ): Promise<RestoreReport>
}

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
} & StreamedOperations
