import { type AnyContractProcedure, getEventIteratorSchemaDetails, type Schema } from '@orpc/contract'
import { fail } from '#src/errors.ts'
import { type StreamedName, streamed } from './backups.ts'
import { type CallContext, type Contract, contract, type ServerConnector } from './contract.ts'
import type { OperationMeta } from './meta.ts'
import { type GivenProtocolSettings, type Protocol, settingsInput } from './protocols.ts'

type Group = keyof Contract
type NamesOf<G extends Group> = `${G}.${keyof Contract[G] & string}`

/** The name of an operation whose input and answer are JSON, as it stands in the journal: `clients.add`. */
export type OperationName = { [G in Group]: NamesOf<G> }[Group]

/** The name of any operation of a server, those that carry a file included. */
export type AnyOperationName = OperationName | StreamedName

type CallOf<N extends OperationName> = N extends `${infer G extends Group}.${infer O}`
  ? O extends keyof ServerConnector[G]
    ? ServerConnector[G][O]
    : never
  : never

/** What a caller passes: defaults may be left out. */
export type OperationInput<N extends OperationName> =
  CallOf<N> extends (input: infer I, ...rest: never[]) => unknown ? Exclude<I, undefined> : never

type ProcedureOf<N extends OperationName> = N extends `${infer G extends Group}.${infer O}`
  ? O extends keyof Contract[G]
    ? Contract[G][O]
    : never
  : never

/** What an implementation receives: checked, defaults filled in. */
export type ParsedInput<N extends OperationName> =
  ProcedureOf<N> extends { '~orpc': { inputSchema?: Schema<infer _I, infer O> } } ? O : never

export type OperationOutput<N extends OperationName> =
  CallOf<N> extends (...args: never[]) => Promise<infer O> ? O : never

function procedure(name: OperationName): AnyContractProcedure {
  const [group, operation] = name.split('.') as [Group, string]
  return (contract[group] as unknown as Record<string, AnyContractProcedure>)[
    operation
  ] as AnyContractProcedure
}

function isStreamed(name: AnyOperationName): name is StreamedName {
  return Object.hasOwn(streamed, name)
}

/** Every operation's name, in the order of the contract; last those that carry a file. */
export function operationNames(): AnyOperationName[] {
  return [...callNames(), ...(Object.keys(streamed) as StreamedName[])]
}

/** The names of those whose input and answer are JSON: what `callOperation` and the journal can carry out. */
export function callNames(): OperationName[] {
  return Object.entries(contract).flatMap(([group, operations]) =>
    Object.keys(operations).map((operation) => `${group}.${operation}` as OperationName),
  )
}

export function operationMeta(name: AnyOperationName): OperationMeta {
  if (isStreamed(name)) return streamed[name].meta
  return procedure(name)['~orpc'].meta as unknown as OperationMeta
}

/** Whether it answers with a stream of events, which goes on until either side ends it. */
export function isStream(name: OperationName): boolean {
  return getEventIteratorSchemaDetails(procedure(name)['~orpc'].outputSchema) !== undefined
}

/**
 * Checks an input against the contract before anything is journaled or sent.
 * @returns the parsed value
 * @throws FleetError BAD_INPUT with the first thing that is wrong with it
 */
export async function parseInput(name: AnyOperationName, input: unknown): Promise<unknown> {
  const schema = isStreamed(name) ? streamed[name].input : procedure(name)['~orpc'].inputSchema
  if (schema === undefined) return undefined
  const result = await schema['~standard'].validate(input)
  if (result.issues !== undefined) fail('BAD_INPUT', describeIssue(result.issues[0]))
  return result.value
}

/** Checks a call, before any of it is sent or carried out: its input, and that a change comes with a key. */
export async function parseCall(
  name: AnyOperationName,
  input: unknown,
  context: CallContext | undefined,
): Promise<unknown> {
  const parsed = await parseInput(name, input)
  if (operationMeta(name).kind !== 'read' && context?.idempotencyKey === undefined) {
    fail('IDEMPOTENCY_KEY_REQUIRED')
  }
  return parsed
}

/** Checks the settings of an inbound against the schema of its protocol. */
export function parseSettings(
  protocol: Protocol,
  settings: unknown,
): { ok: true; value: GivenProtocolSettings } | { ok: false; field: string; reason: string } {
  const parsed = settingsInput[protocol].safeParse(settings)
  if (!parsed.success) return { ok: false, ...describeIssue(parsed.error.issues[0]) }
  return { ok: true, value: { protocol, settings: parsed.data } as GivenProtocolSettings }
}

/** One validation issue as the field it concerns and the reason, in words. */
export function describeIssue(
  issue: { message: string; path?: readonly unknown[] | undefined } | undefined,
): { field: string; reason: string } {
  const path = (issue?.path ?? []).map((part) =>
    String(typeof part === 'object' && part !== null && 'key' in part ? part.key : part),
  )
  return { field: path.join('.') || 'input', reason: issue?.message ?? 'not understood' }
}

/** Calls an operation by its name, as the journal does. */
export async function callOperation<N extends OperationName>(
  connector: ServerConnector,
  name: N,
  input: OperationInput<N>,
  options: { signal?: AbortSignal; context?: CallContext } = {},
): Promise<OperationOutput<N>> {
  const [group, operation] = name.split('.') as [Group, string]
  const calls = connector[group] as unknown as Record<
    string,
    (input: unknown, options: unknown) => Promise<OperationOutput<N>>
  >
  const call = calls[operation]
  if (call === undefined) throw new TypeError(`no operation ${name}`)
  return call(input, options)
}
