import type { Client, OperationName } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { hasClients } from '#src/xray/config/account.ts'
import { createCounts, createFirstUse } from './rows/counts.ts'
import type { Engine } from './engine/engine.ts'
import { requireInbound } from './inbounds.ts'
import { blockReason, changedLimits, unlimited } from './limits/limits.ts'
import type { NodeOperations } from './operations.ts'
import type { PositionStore } from './rows/position.ts'
import { lookWho } from './limits/presence.ts'
import type { ClientRecord } from './rows/records.ts'
import { type Rows, emailKey } from './rows/rows.ts'
import type { Writes } from './writes/writes.ts'

export interface ClientDeps {
  db: Sqlite
  rows: Rows
  writes: Writes
  engine: Pick<Engine, 'requireRunning'>
  api: Parameters<typeof lookWho>[0]
  position: PositionStore
  runtime: Runtime
  /** Told of a client whose credentials are others than they were. */
  onNewCredentials?: ((email: string) => void) | undefined
}

interface SeenAddress {
  address: string
  firstSeenAt: number
  lastSeenAt: number
}

type ClientOperations = Pick<NodeOperations, Extract<OperationName, `clients.${string}`>>

export function createClients(deps: ClientDeps): ClientOperations {
  const { db, rows, writes, engine, api, position, runtime } = deps
  const counts = createCounts(db, 'client')
  const awaitFirstUse = createFirstUse(db)
  const addresses = db.prepare(
    `select address, first_seen_at as firstSeenAt, last_seen_at as lastSeenAt from inbound_client_ips
     where server_id = ${LOCAL_SERVER_ID} and client_id = ? order by last_seen_at desc, address limit 1000`,
  )

  const requireClient = (email: string): ClientRecord =>
    rows.clientByEmail(email) ?? fail('CLIENT_NOT_FOUND', { email })

  return {
    'clients.add': (input, call) =>
      writes.run<Client[]>({
        operation: 'clients.add',
        input,
        call,
        plan: async () => {
          const inbound = requireInbound(rows, input.id)
          if (!hasClients(inbound)) fail('BAD_INPUT', { field: 'id', reason: 'a tunnel has no clients' })
          const wanted = new Map(input.clients.map((client) => [emailKey(client.email), client]))
          if (wanted.size < input.clients.length) {
            fail('BAD_INPUT', { field: 'clients', reason: 'the same name stands in it twice' })
          }
          const present = new Map<string, ClientRecord>()
          for (const [key, client] of wanted) {
            const row = rows.clientByEmail(client.email)
            if (row === undefined) continue
            const isSame = row.uuid === client.uuid && row.password === (client.password ?? client.uuid)
            if (!isSame) fail('CLIENT_NAME_TAKEN', { email: row.email })
            present.set(key, row)
          }
          const now = runtime.now()
          const added: ClientRecord[] = []
          return {
            before: { inbounds: [], clients: [...present.values()].map((row) => row.id) },
            known: { inbounds: [inbound], clients: added },
            commit: (changeSeq) => {
              const ids = [...wanted].map(([key, client]) => {
                const row = present.get(key)
                if (row === undefined) {
                  const id = position.nextId()
                  const limits = changedLimits(unlimited, client, now)
                  const record: ClientRecord = {
                    ...client,
                    ...limits,
                    password: client.password ?? client.uuid,
                    blocked: blockReason(limits, { bytes: 0, addresses: 0 }, now),
                    id,
                    inbounds: [inbound.id],
                    rowVersion: 1,
                    changeSeq,
                    createdAt: now,
                    updatedAt: now,
                  }
                  rows.addClient(record)
                  added.push(record)
                  return id
                }
                if (!row.inbounds.includes(inbound.id)) {
                  const inbounds = [...row.inbounds, inbound.id]
                  rows.saveClient({
                    ...row,
                    inbounds,
                    rowVersion: row.rowVersion + 1,
                    changeSeq,
                    updatedAt: now,
                  })
                }
                return row.id
              })
              return { inbounds: [], clients: ids }
            },
          }
        },
      }),

    'clients.update': async (input, call) => {
      let hasNewCredentials = false
      const updated = await writes.run<Client>({
        operation: 'clients.update',
        input,
        call,
        plan: async () => {
          const { email, rowVersion, ...changes } = input
          const before = requireClient(email)
          if (rowVersion !== undefined && rowVersion !== before.rowVersion) fail('STALE_ROW_VERSION')
          const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
          const now = runtime.now()
          const { uuid = before.uuid, password = before.password } = changes
          hasNewCredentials = uuid !== before.uuid || password !== before.password
          const limits = changedLimits(before, changes, now)
          // Who was using it from too many addresses is looked at again with the next reading.
          const use = { bytes: counts.used(before.id), addresses: 0 }
          const next: ClientRecord = {
            ...before,
            ...given,
            ...limits,
            blocked: blockReason(limits, use, now),
            rowVersion: before.rowVersion + 1,
            updatedAt: now,
          }
          const scope = { inbounds: [], clients: [before.id] }
          return {
            before: scope,
            commit: (changeSeq) => {
              rows.saveClient({ ...next, changeSeq })
              if (typeof changes.lastsDays === 'number') awaitFirstUse(before.id)
              return scope
            },
          }
        },
      })
      if (hasNewCredentials) deps.onNewCredentials?.(updated.email)
      return updated
    },

    'clients.delete': (input, call) =>
      writes.run({
        operation: 'clients.delete',
        input,
        call,
        plan: async () => {
          const { id } = requireClient(input.email)
          const scope = { inbounds: [], clients: [id] }
          return {
            before: scope,
            commit: (changeSeq) => {
              rows.removeClient(id, changeSeq)
              return scope
            },
          }
        },
      }),

    'clients.deleteMany': (input, call) =>
      writes.run<{ emails: string[] }>({
        operation: 'clients.deleteMany',
        input,
        call,
        plan: async () => {
          const ids = new Set(
            input.emails.map((email) => rows.clientByEmail(email)?.id).filter((id) => id !== undefined),
          )
          const scope = { inbounds: [], clients: [...ids] }
          return {
            before: scope,
            commit: (changeSeq) => {
              for (const id of ids) rows.removeClient(id, changeSeq)
              return scope
            },
          }
        },
      }),

    'clients.resetTraffic': (input, call) =>
      writes.run<Client>({
        operation: 'clients.resetTraffic',
        input,
        call,
        plan: async () => {
          const row = requireClient(input.email)
          const scope = { inbounds: [], clients: [row.id] }
          return {
            before: scope,
            commit: (changeSeq) => {
              counts.reset(row.id, position.nextTraffic())
              if (row.blocked === 'traffic') {
                const now = runtime.now()
                const blocked = blockReason(row, { bytes: 0, addresses: 0 }, now)
                rows.saveClient({
                  ...row,
                  blocked,
                  rowVersion: row.rowVersion + 1,
                  changeSeq,
                  updatedAt: now,
                })
              }
              return scope
            },
          }
        },
      }),

    'clients.addresses': async ({ email }) => addresses.all(requireClient(email).id) as SeenAddress[],

    'clients.online': async () => {
      engine.requireRunning()
      const online = await lookWho(api)
      return online.map(({ email, ips }) => ({
        email,
        since: Math.min(...(ips ?? []).map((ip) => ip.lastSeen)) * 1000,
        addresses: (ips ?? []).map(({ ip }) => ip),
      }))
    },
  }
}
