/**
 * What a simulated server keeps and does with it: inbounds, clients, traffic and a change log, in memory. How it is
 * reached, and what goes wrong on the way, is simulated-node.ts's.
 */
import type {
  BlockReason,
  ClientInput,
  InboundInput,
  MirroredClient,
  MirroredInbound,
  OperationName,
} from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { changedLimits } from '#src/node/limits/limits.ts'
import { type SimulatedCertificates, createSimulatedCertificates } from './simulated-certificates.ts'

type Kind = 'inbound' | 'client'

export interface SimulatedRows extends Omit<SimulatedCertificates, 'operations'> {
  clients: Map<number, MirroredClient>
  inbounds: Map<number, MirroredInbound>
  /** What the tests of the fleet use of the contract; anything else is a mistake of the test. */
  operations: Partial<Record<OperationName, (input: never) => unknown>>
  /** Traffic of a client grows, bytes. */
  carry(email: string, up: number, down: number): void
  /** A client is refused, since a limit of it is reached. */
  block(email: string, reason: BlockReason | null): void
  /** The database was replaced: another epoch, these rows as they are. */
  restore(): void
  position(): { epoch: string; changeSeq: number; trafficSeq: number }
}

/** A WireGuard server's public key. */
const publicKey = `${'p'.repeat(43)}=`

/** With what a server makes for it: keys that are none here. */
function secured(security: InboundInput['stream']['security']): MirroredInbound['stream']['security'] {
  switch (security.type) {
    case 'none':
      return security
    case 'reality':
      return { ...security, publicKey: 'p'.repeat(43) }
    case 'tls':
      return { ...security, pin: security.certificate.source === 'own' ? 'ab'.repeat(32) : null }
  }
}

export function createSimulatedRows(name: string): SimulatedRows {
  const { operations: ofCertificates, ...certificates } = createSimulatedCertificates()
  const inbounds = new Map<number, MirroredInbound>()
  const clients = new Map<number, MirroredClient>()
  const deleted = new Map<string, { kind: Kind; id: number; seq: number }>()
  const rowSeq = new Map<string, number>()
  const traffic = new Map<number, { up: number; down: number; seq: number }>()
  let epoch = `${name}-1`
  let [changeSeq, trafficSeq, nextId, epochs] = [0, 0, 1, 1]

  const moved = (kind: Kind, id: number): void => void rowSeq.set(`${kind}:${id}`, ++changeSeq)
  const bury = (kind: Kind, id: number): void =>
    void deleted.set(`${kind}:${id}`, { kind, id, seq: ++changeSeq })
  const counters = (id: number) => traffic.get(id) ?? { up: 0, down: 0, seq: 0 }

  const position = () => ({ epoch, changeSeq, trafficSeq })

  function inboundOf(ref: string): MirroredInbound {
    const found = [...inbounds.values()].find((row) => String(row.id) === ref || row.tag === ref)
    return found ?? fail('INBOUND_NOT_FOUND', { inbound: ref })
  }
  function clientOf(email: string): MirroredClient {
    const found = [...clients.values()].find((row) => row.email.toLowerCase() === email.toLowerCase())
    return found ?? fail('CLIENT_NOT_FOUND', { email })
  }

  function addClient(inbound: MirroredInbound, input: ClientInput): MirroredClient {
    const there = [...clients.values()].find((row) => row.email.toLowerCase() === input.email.toLowerCase())
    if (there !== undefined && there.uuid !== input.uuid) fail('CLIENT_NAME_TAKEN', { email: input.email })
    const row: MirroredClient = there ?? {
      ...input,
      password: input.password ?? input.uuid,
      startedAt: null,
      nextResetAt: null,
      blocked: null,
      id: nextId++,
      inbounds: [],
      rowVersion: 0,
      createdAt: 1,
      updatedAt: 1,
    }
    row.rowVersion++
    row.inbounds = [...new Set([...row.inbounds, inbound.id])]
    clients.set(row.id, row)
    moved('client', row.id)
    return row
  }

  const whole = (row: MirroredClient) => ({
    ...row,
    ...counters(row.id),
    lastActiveAt: null,
    links: row.inbounds.map(() => ''),
  })
  const wholeInbound = (row: MirroredInbound) => ({ ...row, up: 0, down: 0, used: 0, clientCount: 0 })

  function changes(input: { epoch: string; since: number; trafficSince: number }) {
    const full = input.epoch !== epoch
    const since = full ? 0 : input.since
    const newer = (kind: Kind) => (row: { id: number }) => (rowSeq.get(`${kind}:${row.id}`) ?? 0) > since
    return {
      ...position(),
      full,
      inbounds: [...inbounds.values()].filter(newer('inbound')),
      clients: [...clients.values()].filter(newer('client')),
      deleted: full
        ? []
        : [...deleted.values()].filter(({ seq }) => seq > since).map(({ kind, id }) => ({ kind, id })),
      traffic: {
        clients: [...traffic]
          .filter(([id, row]) => clients.has(id) && (full || row.seq > input.trafficSince))
          .map(([id, { up, down }]) => ({ id, up, down, resetUp: 0, resetDown: 0 })),
        inbounds: [],
        outbounds: [],
      },
    }
  }

  const operations: SimulatedRows['operations'] = {
    ...ofCertificates,
    'sync.changes': changes,
    'inbounds.add': (input: InboundInput) => {
      if ([...inbounds.values()].some((row) => row.tag === input.tag))
        fail('INBOUND_TAG_TAKEN', { tag: input.tag })
      const { security } = input.stream
      if (security.type === 'tls' && security.certificate.source === 'store') {
        const { domain } = security.certificate
        if (!certificates.certificates.has(domain)) fail('CERTIFICATE_NOT_FOUND', { domain })
      }
      const row = {
        ...input,
        settings: input.protocol === 'wireguard' ? { ...input.settings, publicKey } : input.settings,
        linkSecrets: {},
        nextResetAt: null,
        blocked: null,
        listen: input.listen ?? '0.0.0.0',
        id: nextId++,
        stream: { ...input.stream, security: secured(input.stream.security) },
        rowVersion: 1,
        createdAt: 1,
        updatedAt: 1,
      } as MirroredInbound
      inbounds.set(row.id, row)
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
      inbounds.delete(id)
      bury('inbound', id)
      return { id, tag }
    },
    'clients.add': ({ id, clients }: { id: string; clients: ClientInput[] }) => {
      const inbound = inboundOf(id)
      return clients.map((client) => whole(addClient(inbound, client)))
    },
    'clients.update': ({
      email,
      ...edit
    }: {
      email: string
      enabled?: boolean
      limitBytes?: number | null
    }) => {
      const row = clientOf(email)
      const limits = changedLimits(row, edit, Date.now())
      Object.assign(row, edit, limits, { rowVersion: row.rowVersion + 1 })
      moved('client', row.id)
      return whole(row)
    },
    'clients.resetTraffic': ({ email }: { email: string }) => {
      const row = clientOf(email)
      traffic.set(row.id, { ...counters(row.id), up: 0, down: 0, seq: ++trafficSeq })
      return whole(row)
    },
    'clients.delete': ({ email }: { email: string }) => {
      const row = clientOf(email)
      clients.delete(row.id)
      traffic.delete(row.id)
      bury('client', row.id)
      return { email: row.email }
    },
    'xray.restart': () => ({ running: true, pid: 1 }),
  }

  return {
    ...certificates,
    clients,
    inbounds,
    operations,
    position,
    carry(email, up, down) {
      const { id } = clientOf(email)
      const before = counters(id)
      traffic.set(id, { up: before.up + up, down: before.down + down, seq: ++trafficSeq })
    },
    block(email, reason) {
      const row = clientOf(email)
      row.blocked = reason
      moved('client', row.id)
    },
    restore() {
      epoch = `${name}-${++epochs}`
    },
  }
}
