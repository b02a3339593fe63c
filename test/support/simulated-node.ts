/**
 * A server in memory, behind the same connector as a real one, with idempotency keys and a change log, whose
 * faults a test decides. It outlives the fleets that speak to it, as a machine outlives its controller.
 */
import {
  type CallContext,
  type ClientInput,
  type InboundInput,
  type MirroredClient,
  type MirroredInbound,
  type OperationName,
  type ServerConnector,
  operationMeta,
  parseInput,
} from '#src/contract/index.ts'
import { type ErrorCode, type ErrorDetails, FleetError, fail } from '#src/errors.ts'

interface Options {
  signal?: AbortSignal
  context?: CallContext
}

export interface SimulatedNode {
  connector: ServerConnector
  /** Every write that took effect, in order: `clients.add`, once however often its key came. */
  applied: { operation: string; key: string }[]
  /** Every call that came in, reads too. */
  calls: string[]
  /** The most calls that were carried out at one time, writes only. */
  mostAtOnce: number
  clients: Map<number, MirroredClient>
  inbounds: Map<number, MirroredInbound>
  /** Nothing is reached. */
  offline: boolean
  /** So many of the next writes take effect, but their answer is lost. */
  loseAnswers: number
  /** So many of the next writes fail with this, having no effect. */
  failNext(code: ErrorCode, times?: number, details?: ErrorDetails): void
  /** Writes wait from now on until the returned function is called. */
  hold(): () => void
  /** Traffic of a client grows, bytes. */
  carry(email: string, up: number, down: number): void
  /** The database was replaced: another epoch, these rows as they are. */
  restore(): void
  position(): { epoch: string; changeSeq: number; trafficSeq: number }
}

type Kind = 'inbound' | 'client'

export function createSimulatedNode(name: string): SimulatedNode {
  const keys = new Map<string, unknown>()
  const deleted = new Map<string, { kind: Kind; id: number; seq: number }>()
  const rowSeq = new Map<string, number>()
  const traffic = new Map<number, { up: number; down: number; seq: number }>()
  let epoch = `${name}-1`
  let [changeSeq, trafficSeq, nextId, epochs, running] = [0, 0, 1, 1, 0]
  let failures: FleetError[] = []
  let gate: Promise<void> | undefined

  const moved = (kind: Kind, id: number): void => void rowSeq.set(`${kind}:${id}`, ++changeSeq)
  const bury = (kind: Kind, id: number): void =>
    void deleted.set(`${kind}:${id}`, { kind, id, seq: ++changeSeq })
  const counters = (id: number) => traffic.get(id) ?? { up: 0, down: 0, seq: 0 }

  function inboundOf(ref: string): MirroredInbound {
    const found = [...node.inbounds.values()].find((row) => String(row.id) === ref || row.tag === ref)
    return found ?? fail('INBOUND_NOT_FOUND', { inbound: ref })
  }
  function clientOf(email: string): MirroredClient {
    const found = [...node.clients.values()].find((row) => row.email.toLowerCase() === email.toLowerCase())
    return found ?? fail('CLIENT_NOT_FOUND', { email })
  }

  function addClient(inbound: MirroredInbound, input: ClientInput): MirroredClient {
    const there = [...node.clients.values()].find(
      (row) => row.email.toLowerCase() === input.email.toLowerCase(),
    )
    if (there !== undefined && there.uuid !== input.uuid) fail('CLIENT_NAME_TAKEN', { email: input.email })
    const row: MirroredClient = there ?? {
      ...input,
      id: nextId++,
      inbounds: [],
      rowVersion: 0,
      createdAt: 1,
      updatedAt: 1,
    }
    row.rowVersion++
    row.inbounds = [...new Set([...row.inbounds, inbound.id])]
    node.clients.set(row.id, row)
    moved('client', row.id)
    return row
  }

  const whole = (row: MirroredClient) => ({ ...row, ...counters(row.id), links: row.inbounds.map(() => '') })
  const wholeInbound = (row: MirroredInbound) => ({ ...row, up: 0, down: 0, clientCount: 0 })

  function changes(input: { epoch: string; since: number; trafficSince: number }) {
    const full = input.epoch !== epoch
    const since = full ? 0 : input.since
    const newer = (kind: Kind) => (row: { id: number }) => (rowSeq.get(`${kind}:${row.id}`) ?? 0) > since
    return {
      ...node.position(),
      full,
      inbounds: [...node.inbounds.values()].filter(newer('inbound')),
      clients: [...node.clients.values()].filter(newer('client')),
      deleted: full
        ? []
        : [...deleted.values()].filter(({ seq }) => seq > since).map(({ kind, id }) => ({ kind, id })),
      traffic: {
        clients: [...traffic]
          .filter(([id, row]) => node.clients.has(id) && (full || row.seq > input.trafficSince))
          .map(([id, { up, down }]) => ({ id, up, down, resetUp: 0, resetDown: 0 })),
        inbounds: [],
        outbounds: [],
      },
    }
  }

  // What the tests of the fleet use of the contract; anything else is a mistake of the test.
  const operations: Partial<Record<OperationName, (input: never) => unknown>> = {
    'sync.changes': changes,
    'inbounds.add': (input: InboundInput) => {
      if ([...node.inbounds.values()].some((row) => row.tag === input.tag))
        fail('INBOUND_TAG_TAKEN', { tag: input.tag })
      const { security, transport } = input.stream
      const row: MirroredInbound = {
        ...input,
        listen: input.listen ?? '0.0.0.0',
        id: nextId++,
        stream: {
          transport,
          security: security.type === 'none' ? security : { ...security, publicKey: 'p'.repeat(43) },
        },
        rowVersion: 1,
        createdAt: 1,
        updatedAt: 1,
      }
      node.inbounds.set(row.id, row)
      moved('inbound', row.id)
      return wholeInbound(row)
    },
    'inbounds.update': ({ id, ...edit }: { id: string; tag?: string }) => {
      const row = inboundOf(id)
      const { rowVersion: _read, ...fields } = edit as Partial<MirroredInbound>
      Object.assign(row, fields, { rowVersion: row.rowVersion + 1 })
      moved('inbound', row.id)
      return wholeInbound(row)
    },
    'inbounds.delete': ({ id: ref }: { id: string }) => {
      const { id, tag } = inboundOf(ref)
      node.inbounds.delete(id)
      bury('inbound', id)
      return { id, tag }
    },
    'clients.add': ({ id, clients }: { id: string; clients: ClientInput[] }) => {
      const inbound = inboundOf(id)
      return clients.map((client) => whole(addClient(inbound, client)))
    },
    'clients.update': ({ email, ...edit }: { email: string; enabled?: boolean }) => {
      const row = clientOf(email)
      Object.assign(row, edit, { rowVersion: row.rowVersion + 1 })
      moved('client', row.id)
      return whole(row)
    },
    'clients.delete': ({ email }: { email: string }) => {
      const row = clientOf(email)
      node.clients.delete(row.id)
      traffic.delete(row.id)
      bury('client', row.id)
      return { email: row.email }
    },
    'xray.restart': () => ({ running: true, pid: 1 }),
  }

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
    node.calls.push(operation)
    signal?.throwIfAborted()
    if (node.offline) fail('SERVER_UNREACHABLE', { reason: 'connection refused' })
    const parsed = await parseInput(operation, input ?? {})
    if (!parsed.ok) fail('BAD_INPUT', { field: parsed.field, reason: parsed.reason })
    const isWrite = operationMeta(operation).kind !== 'read'
    if (isWrite) node.mostAtOnce = Math.max(node.mostAtOnce, ++running)
    try {
      // Over a wire: what is answered is never the object that is kept.
      return structuredClone(await carryOut(operation, parsed.value, context?.idempotencyKey))
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
    connector: Object.fromEntries(
      ['server', 'inbounds', 'clients', 'traffic', 'xray', 'system', 'sync'].map((key) => [key, group(key)]),
    ) as unknown as ServerConnector,
    applied: [],
    calls: [],
    mostAtOnce: 0,
    clients: new Map(),
    inbounds: new Map(),
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
    carry(email, up, down) {
      const { id } = clientOf(email)
      const before = counters(id)
      traffic.set(id, { up: before.up + up, down: before.down + down, seq: ++trafficSeq })
    },
    restore() {
      epoch = `${name}-${++epochs}`
    },
    position: () => ({ epoch, changeSeq, trafficSeq }),
  }
  return node
}
