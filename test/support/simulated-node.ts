/**
 * A server in memory, behind the same connector as a real one, with idempotency keys, whose faults a test decides. It
 * outlives the fleets that speak to it, as a machine outlives its controller.
 */
import {
  type CallContext,
  isStream,
  type NodeEvent,
  type OperationName,
  type ServerConnector,
  contract,
  operationMeta,
  parseInput,
} from '#src/contract/index.ts'
import { type ErrorCode, type ErrorDetails, FleetError, fail } from '#src/errors.ts'
import { createSimulatedRows, type SimulatedRows } from './simulated-rows.ts'
import { createSimulatedStreams } from './simulated-streams.ts'

interface Options {
  signal?: AbortSignal
  context?: CallContext
}

export interface SimulatedNode extends Omit<SimulatedRows, 'operations'> {
  connector: ServerConnector
  /** Every write that took effect, in order: `clients.add`, once however often its key came. */
  applied: { operation: string; key: string }[]
  /** Tells this to whoever reads its event stream. */
  tell(event: NodeEvent): void
  /** No event stream is opened: with this. */
  refuseStreams: ErrorCode | undefined
  /** Ends every event stream, as a cut connection does. */
  cutStreams(): void
  /** What the readers of its event stream asked for, in order. */
  streams: { epoch?: string; after?: number | string }[]
  /** Every call that came in, reads too; streams apart. */
  calls: string[]
  /** The most calls that were carried out at one time, writes only. */
  mostAtOnce: number
  /** Nothing is reached. */
  offline: boolean
  /** So many of the next writes take effect, but their answer is lost. */
  loseAnswers: number
  /** So many of the next writes fail with this, having no effect. */
  failNext(code: ErrorCode, times?: number, details?: ErrorDetails): void
  /** Writes wait from now on until the returned function is called. */
  hold(): () => void
}

export function createSimulatedNode(name: string): SimulatedNode {
  const { operations, ...rows } = createSimulatedRows(name)
  const streams = createSimulatedStreams<NodeEvent>()
  const keys = new Map<string, unknown>()
  let running = 0
  let failures: FleetError[] = []
  let gate: Promise<void> | undefined

  async function carryOut(
    operation: OperationName,
    input: unknown,
    key: string | undefined,
  ): Promise<unknown> {
    const work = operations[operation] ?? fail('NOT_FOUND')
    if (operationMeta(operation).kind === 'read') return work(input as never)
    if (key === undefined) fail('IDEMPOTENCY_KEY_REQUIRED')
    const failure = failures.shift()
    if (failure !== undefined) throw failure
    await gate
    if (!keys.has(key)) {
      keys.set(key, work(input as never))
      node.applied.push({ operation, key })
    }
    if (node.loseAnswers > 0) {
      node.loseAnswers--
      fail('SERVER_TIMEOUT', { seconds: 30 })
    }
    return keys.get(key)
  }

  async function call(operation: OperationName, input: unknown, { signal, context }: Options = {}) {
    if (isStream(operation)) {
      signal?.throwIfAborted()
      if (node.offline) fail('SERVER_UNREACHABLE', { reason: 'connection refused' })
      node.streams.push((input ?? {}) as { epoch?: string })
      if (node.refuseStreams !== undefined) fail(node.refuseStreams)
      return streams.open(signal)
    }
    node.calls.push(operation)
    signal?.throwIfAborted()
    if (node.offline) fail('SERVER_UNREACHABLE', { reason: 'connection refused' })
    const parsed = await parseInput(operation, input ?? {})
    const isWrite = operationMeta(operation).kind !== 'read'
    if (isWrite) node.mostAtOnce = Math.max(node.mostAtOnce, ++running)
    try {
      // Over a wire: what is answered is never the object that is kept.
      return structuredClone(await carryOut(operation, parsed, context?.idempotencyKey))
    } finally {
      if (isWrite) running--
    }
  }

  const group = (prefix: string) =>
    new Proxy(
      {},
      {
        get: (_target, operation) => (input: unknown, options?: Options) =>
          call(`${prefix}.${String(operation)}` as OperationName, input, options),
      },
    )

  const node: SimulatedNode = {
    ...rows,
    connector: Object.fromEntries(
      Object.keys(contract).map((key) => [key, group(key)]),
    ) as unknown as ServerConnector,
    applied: [],
    streams: [],
    refuseStreams: undefined,
    tell: (event) => streams.tell(event),
    cutStreams: () => streams.cut(),
    calls: [],
    mostAtOnce: 0,
    offline: false,
    loseAnswers: 0,
    failNext(code, times = 1, details = {}) {
      failures = Array.from({ length: times }, () => new FleetError(code, details))
    },
    hold() {
      let release: () => void = () => undefined
      gate = new Promise((resolve) => {
        release = resolve
      })
      return () => {
        gate = undefined
        release()
      }
    },
  }
  return node
}
