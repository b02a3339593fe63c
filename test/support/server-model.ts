/**
 * What a server is to hold after a change, written down a second time and as simply as can be: what the real one does
 * is held against this.
 */
import type { ClientInput, OperationName } from '#src/contract/index.ts'
import type { ErrorCode } from '#src/errors.ts'

interface ModelInbound {
  tag: string
  port: number
  remark: string
  enabled: boolean
  rowVersion: number
}

interface ModelClient {
  email: string
  uuid: string
  subscriptionId: string
  enabled: boolean
  comment: string
  rowVersion: number
  inbounds: ModelInbound[]
}

export interface ServerModel {
  inbounds: ModelInbound[]
  clients: ModelClient[]
}

interface Edit {
  rowVersion?: number
  [field: string]: unknown
}

type Inputs = {
  'inbounds.add': { tag: string; port: number; remark?: string; enabled?: boolean }
  'inbounds.update': Edit & { id: string; tag?: string; port?: number; enabled?: boolean }
  'inbounds.delete': { id: string }
  'clients.add': { id: string; clients: ClientInput[] }
  'clients.update': Edit & { email: string }
  'clients.delete': { email: string }
  'clients.resetTraffic': { email: string }
}

export const emptyModel = (): ServerModel => ({ inbounds: [], clients: [] })

/** Changes the model as the operation would change a server. @returns how the server is to answer */
export function applyTo(model: ServerModel, operation: OperationName, input: unknown): ErrorCode | 'ok' {
  const work = operations[operation as keyof Inputs] as (
    model: ServerModel,
    input: unknown,
  ) => ErrorCode | 'ok'
  return work(model, input)
}

const inboundOf = (model: ServerModel, tag: string) => model.inbounds.find((row) => row.tag === tag)
const clientOf = (model: ServerModel, email: string) => model.clients.find((row) => row.email === email)

function clash(model: ServerModel, next: ModelInbound, self?: ModelInbound): ErrorCode | undefined {
  const others = model.inbounds.filter((row) => row !== self)
  if (others.some((row) => row.tag === next.tag)) return 'INBOUND_TAG_TAKEN'
  if (next.enabled && others.some((row) => row.enabled && row.port === next.port)) return 'PORT_TAKEN'
  return undefined
}

/** What of an edit is given. */
const given = (edit: object): object =>
  Object.fromEntries(Object.entries(edit).filter(([, value]) => value !== undefined))

const operations: {
  [N in keyof Inputs]: (model: ServerModel, input: Inputs[N]) => ErrorCode | 'ok'
} = {
  'inbounds.add': (model, { tag, port, remark = '', enabled = true }) => {
    const next = { tag, port, remark, enabled, rowVersion: 1 }
    const wrong = clash(model, next)
    if (wrong !== undefined) return wrong
    model.inbounds.push(next)
    return 'ok'
  },
  'inbounds.update': (model, { id, rowVersion, ...edit }) => {
    const row = inboundOf(model, id)
    if (row === undefined) return 'INBOUND_NOT_FOUND'
    if (rowVersion !== undefined && rowVersion !== row.rowVersion) return 'STALE_ROW_VERSION'
    const next = { ...row, ...given(edit), rowVersion: row.rowVersion + 1 }
    const wrong = clash(model, next, row)
    if (wrong !== undefined) return wrong
    Object.assign(row, next)
    return 'ok'
  },
  'inbounds.delete': (model, { id }) => {
    const row = inboundOf(model, id)
    if (row === undefined) return 'INBOUND_NOT_FOUND'
    model.inbounds = model.inbounds.filter((other) => other !== row)
    for (const client of model.clients) {
      if (!client.inbounds.includes(row)) continue
      client.inbounds = client.inbounds.filter((other) => other !== row)
      client.rowVersion++
    }
    return 'ok'
  },
  'clients.add': (model, { id, clients }) => {
    const inbound = inboundOf(model, id)
    if (inbound === undefined) return 'INBOUND_NOT_FOUND'
    const foreign = clients.some(
      (client) => (clientOf(model, client.email)?.uuid ?? client.uuid) !== client.uuid,
    )
    if (foreign) return 'CLIENT_NAME_TAKEN'
    for (const { email, uuid, subscriptionId, enabled, comment } of clients) {
      const there = clientOf(model, email)
      if (there === undefined) {
        const row = { email, uuid, subscriptionId, enabled, comment, rowVersion: 1, inbounds: [inbound] }
        model.clients.push(row)
      } else if (!there.inbounds.includes(inbound)) {
        there.inbounds.push(inbound)
        there.rowVersion++
      }
    }
    return 'ok'
  },
  'clients.update': (model, { email, rowVersion, ...edit }) => {
    const row = clientOf(model, email)
    if (row === undefined) return 'CLIENT_NOT_FOUND'
    if (rowVersion !== undefined && rowVersion !== row.rowVersion) return 'STALE_ROW_VERSION'
    Object.assign(row, given(edit), { rowVersion: row.rowVersion + 1 })
    return 'ok'
  },
  'clients.delete': (model, { email }) => {
    const row = clientOf(model, email)
    if (row === undefined) return 'CLIENT_NOT_FOUND'
    model.clients = model.clients.filter((other) => other !== row)
    return 'ok'
  },
  'clients.resetTraffic': (model, { email }) =>
    clientOf(model, email) === undefined ? 'CLIENT_NOT_FOUND' : 'ok',
}

/** A server's holdings in words that can be compared: no ids, in order of name. */
export interface Holdings {
  inbounds: (ModelInbound & { users: string[] })[]
  clients: (Omit<ModelClient, 'inbounds'> & { inbounds: string[] })[]
}

/** What the model holds, and whom its Xray is to let in where. */
export function holdingsOf({ inbounds, clients }: ServerModel): Holdings {
  return {
    inbounds: inbounds
      .map((row) => ({
        ...row,
        users: row.enabled
          ? clients
              .filter((client) => client.enabled && client.inbounds.includes(row))
              .map(({ email, uuid }) => `${email} ${uuid}`)
              .toSorted()
          : [],
      }))
      .toSorted((a, b) => (a.tag < b.tag ? -1 : 1)),
    clients: clients
      .map((client) => ({ ...client, inbounds: client.inbounds.map(({ tag }) => tag).toSorted() }))
      .toSorted((a, b) => (a.email < b.email ? -1 : 1)),
  }
}
