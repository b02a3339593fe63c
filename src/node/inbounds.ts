import type { Inbound, InboundStream, OperationName } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { makeRealityKeys } from '#src/xray/reality.ts'
import { renderConfig } from '#src/xray/render.ts'
import { validateModel } from '#src/xray/validate.ts'
import type { Answers } from './answers.ts'
import type { Engine } from './engine.ts'
import type { NodeOperations } from './operations.ts'
import type { PositionStore } from './position.ts'
import type { InboundRecord, InboundSettings, Rows } from './rows.ts'
import type { Writes } from './writes.ts'

export interface InboundDeps {
  rows: Rows
  writes: Writes
  engine: Engine
  answers: Answers
  position: PositionStore
  runtime: Runtime
  /** Where an inbound listens that names no address. */
  inboundListen: string
  isPortFree: (listen: string, port: number) => Promise<boolean>
  /** Lets Xray read a configuration without running it. @throws XRAY_REFUSED */
  testConfig: (config: object) => Promise<void>
}

type InboundOperations = Pick<NodeOperations, Extract<OperationName, `inbounds.${string}`>>

/** An inbound by its id or its tag. @throws FleetError INBOUND_NOT_FOUND */
export function requireInbound(rows: Rows, ref: string): InboundSettings {
  const found = /^\d+$/.test(ref) ? rows.inboundSettings(Number(ref)) : rows.inboundByTag(ref)
  return found ?? fail('INBOUND_NOT_FOUND', { inbound: ref })
}

export function createInbounds(deps: InboundDeps): InboundOperations {
  const { rows, writes, engine, answers, position, runtime, inboundListen } = deps

  /** Everything that can be known to be wrong with a changed inbound before it is made. */
  async function check(next: InboundRecord, before: InboundRecord | undefined): Promise<void> {
    const holder = rows.inboundByTag(next.tag)
    if (holder !== undefined && holder.id !== before?.id) fail('INBOUND_TAG_TAKEN', { tag: next.tag })
    const candidate = [...rows.inbounds().filter((inbound) => inbound.id !== before?.id), next]
    const model = engine.model(candidate, false)
    const wrong = validateModel(model)
    if (wrong !== null) throw wrong
    if (!next.enabled) return
    const listens = before?.enabled === true && before.port === next.port && before.listen === next.listen
    if (!listens && !(await deps.isPortFree(next.listen, next.port))) {
      fail('PORT_TAKEN', { port: next.port, by: 'another program' })
    }
    await deps.testConfig(renderConfig(model))
  }

  /** The keys of REALITY are made here, once: a change of its other settings keeps every link alive. */
  function withKeys(
    stream: Parameters<InboundOperations['inbounds.add']>[0]['stream'],
    before?: InboundRecord,
  ): { stream: InboundStream; privateKey: string | null } {
    const { transport, security } = stream
    if (security.type === 'none') return { stream: { transport, security }, privateKey: null }
    const old = before?.stream.security
    const keys =
      old?.type === 'reality' && before !== undefined && before.privateKey !== null
        ? { publicKey: old.publicKey, privateKey: before.privateKey }
        : makeRealityKeys()
    return {
      stream: { transport, security: { ...security, publicKey: keys.publicKey } },
      privateKey: keys.privateKey,
    }
  }

  return {
    'inbounds.list': async () => rows.allInboundSettings().map(answers.inbound),
    'inbounds.get': async ({ id }) => answers.inbound(requireInbound(rows, id)),

    'inbounds.add': (input, call) =>
      writes.run<Inbound>({
        operation: 'inbounds.add',
        input,
        call,
        plan: async () => {
          const now = runtime.now()
          const next: InboundRecord = {
            ...input,
            listen: input.listen ?? inboundListen,
            ...withKeys(input.stream),
            id: 0,
            rowVersion: 1,
            changeSeq: 0,
            createdAt: now,
            updatedAt: now,
          }
          await check(next, undefined)
          return {
            before: { inbounds: [], clients: [] },
            commit: (changeSeq) => {
              const id = position.nextId()
              rows.saveInbound({ ...next, id, changeSeq })
              return { inbounds: [id], clients: [] }
            },
          }
        },
      }),

    'inbounds.update': (input, call) =>
      writes.run<Inbound>({
        operation: 'inbounds.update',
        input,
        call,
        plan: async () => {
          const { id: ref, rowVersion, stream, ...changes } = input
          const before =
            rows.inbound(requireInbound(rows, ref).id) ?? fail('INBOUND_NOT_FOUND', { inbound: ref })
          if (rowVersion !== undefined && rowVersion !== before.rowVersion) fail('STALE_ROW_VERSION')
          const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
          const next: InboundRecord = {
            ...before,
            ...given,
            ...(stream === undefined ? {} : withKeys(stream, before)),
            rowVersion: before.rowVersion + 1,
            updatedAt: runtime.now(),
          }
          await check(next, before)
          const scope = { inbounds: [before.id], clients: [] }
          return {
            before: scope,
            commit: (changeSeq) => {
              rows.saveInbound({ ...next, changeSeq })
              return scope
            },
          }
        },
      }),

    'inbounds.delete': (input, call) =>
      writes.run({
        operation: 'inbounds.delete',
        input,
        call,
        plan: async () => {
          const { id } = requireInbound(rows, input.id)
          // Its clients stay, with their credentials and counters; their rows change, since a placement goes.
          const clients = rows.clientsIn(id)
          const scope = { inbounds: [id], clients: clients.map((client) => client.id) }
          return {
            before: scope,
            commit: (changeSeq) => {
              rows.removeInbound(id, changeSeq)
              for (const client of clients) {
                rows.saveClient({
                  ...client,
                  inbounds: client.inbounds.filter((inboundId) => inboundId !== id),
                  rowVersion: client.rowVersion + 1,
                  changeSeq,
                  updatedAt: runtime.now(),
                })
              }
              return scope
            },
          }
        },
      }),
  }
}
