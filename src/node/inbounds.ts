import {
  type GivenProtocolSettings,
  type Inbound,
  type OperationName,
  parseSettings,
} from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { renderConfig } from '#src/xray/config/render.ts'
import type { Network } from '#src/xray/config/streams.ts'
import { networksBeside, validateModel } from '#src/xray/config/validate.ts'
import type { Answers } from './writes/answers.ts'
import { createCounts } from './rows/counts.ts'
import type { Engine } from './engine/engine.ts'
import type { NodeOperations } from './operations.ts'
import { blockReason } from './limits/limits.ts'
import { isOpen } from './engine/listeners.ts'
import { nextPeriod } from './limits/periods.ts'
import type { Placements } from './rows/placements.ts'
import type { PositionStore } from './rows/position.ts'
import type { PrepareInbound } from './prepare-inbound.ts'
import type { InboundRecord, InboundSettings } from './rows/records.ts'
import type { Rows } from './rows/rows.ts'
import type { Writes } from './writes/writes.ts'

export interface InboundDeps {
  db: Sqlite
  rows: Rows
  placements: Placements
  writes: Writes
  engine: Engine
  answers: Answers
  position: PositionStore
  runtime: Runtime
  /** Where an inbound listens that names no address. */
  inboundListen: string
  isPortFree: (listen: string, port: number, networks: readonly Network[]) => Promise<boolean>
  prepare: PrepareInbound
  /** Lets Xray read a configuration without running it. @throws XRAY_REFUSED */
  testConfig: (config: object) => Promise<void>
}

type InboundOperations = Pick<NodeOperations, Extract<OperationName, `inbounds.${string}`>>

/** An inbound by its id or its tag. @throws FleetError INBOUND_NOT_FOUND */
export function requireInbound(rows: Rows, ref: string): InboundSettings {
  const found = /^\d+$/.test(ref) ? rows.inboundSettings(Number(ref)) : rows.inboundByTag(ref)
  return found ?? fail('INBOUND_NOT_FOUND', { inbound: ref })
}

/** Settings as the schema of the protocol wants them. @throws FleetError BAD_INPUT */
function requireSettings(protocol: Inbound['protocol'], settings: unknown): GivenProtocolSettings {
  const parsed = parseSettings(protocol, settings)
  return parsed.ok
    ? parsed.value
    : fail('BAD_INPUT', { field: `settings.${parsed.field}`, reason: parsed.reason })
}

export function createInbounds(deps: InboundDeps): InboundOperations {
  const { db, rows, placements, writes, engine, answers, position, runtime, inboundListen } = deps
  const counts = createCounts(db, 'inbound')

  /** Everything that can be known to be wrong with a changed inbound before it is made: as if it were open already. */
  async function check(next: InboundRecord, before: InboundRecord | undefined): Promise<void> {
    const holder = rows.inboundByTag(next.tag)
    if (holder !== undefined && holder.id !== before?.id) fail('INBOUND_TAG_TAKEN', { tag: next.tag })
    const candidate = [...rows.inbounds().filter((inbound) => inbound.id !== before?.id), next]
    const model = engine.model(candidate, false)
    const wrong = validateModel(model)
    if (wrong !== null) throw wrong
    if (!next.enabled) return
    // Held by our own Xray, which closes it first. What another program has beside it the opening itself tells.
    const wanted = networksBeside(before !== undefined && isOpen(before) ? [before] : [], next)
    if (!(await deps.isPortFree(next.listen, next.port, wanted))) {
      fail('PORT_TAKEN', { port: next.port, by: 'another program' })
    }
    await deps.testConfig(renderConfig(model))
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
            ...(await deps.prepare(input)),
            listen: input.listen ?? inboundListen,
            id: 0,
            nextResetAt: nextPeriod(input.trafficReset, now),
            blocked: blockReason(input, { bytes: 0, addresses: 0 }, now),
            rowVersion: 1,
            changeSeq: 0,
            createdAt: now,
            updatedAt: now,
          }
          await check({ ...next, blocked: null }, undefined)
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
          const { id: ref, rowVersion, stream, settings, ...changes } = input
          const before =
            rows.inbound(requireInbound(rows, ref).id) ?? fail('INBOUND_NOT_FOUND', { inbound: ref })
          if (rowVersion !== undefined && rowVersion !== before.rowVersion) fail('STALE_ROW_VERSION')
          const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
          const now = runtime.now()
          const kind = settings === undefined ? before : requireSettings(before.protocol, settings)
          const prepared =
            stream === undefined && settings === undefined
              ? {}
              : await deps.prepare({ ...kind, stream: stream ?? before.stream }, before)
          const changed = {
            ...before,
            ...given,
            ...prepared,
            ...(input.trafficReset === undefined ? {} : { nextResetAt: nextPeriod(input.trafficReset, now) }),
            rowVersion: before.rowVersion + 1,
            updatedAt: now,
          } as InboundRecord
          const use = { bytes: counts.used(before.id), addresses: 0 }
          const next = { ...changed, blocked: blockReason(changed, use, now) }
          await check({ ...next, blocked: null }, before)
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

    'inbounds.resetTraffic': (input, call) =>
      writes.run<Inbound>({
        operation: 'inbounds.resetTraffic',
        input,
        call,
        plan: async () => {
          const { id } = requireInbound(rows, input.id)
          const scope = { inbounds: [id], clients: [] }
          const row = rows.inbound(id)
          return {
            before: scope,
            commit: (changeSeq) => {
              counts.reset(id, position.nextTraffic())
              if (row?.blocked === 'traffic') {
                const now = runtime.now()
                const blocked = blockReason(row, { bytes: 0, addresses: 0 }, now)
                const rowVersion = row.rowVersion + 1
                rows.saveInbound({ ...row, blocked, rowVersion, changeSeq, updatedAt: now })
              }
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
          const scope = { inbounds: [id], clients: placements.clientsIn(id) }
          return {
            before: scope,
            commit: (changeSeq) => {
              placements.markChanged(id, changeSeq, runtime.now())
              rows.removeInbound(id, changeSeq)
              return scope
            },
          }
        },
      }),
  }
}
