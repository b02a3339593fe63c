/** What a fleet should hold after a sequence of changes, and what it does hold: in rows, in Xray, in the mirror. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createJournal } from '#src/fleet/journal.ts'
import { createRows } from '#src/node/rows/rows.ts'
import { systemRuntime } from '#src/runtime.ts'
import { loadKey, secretBoxFor } from '#src/trust/secret-box.ts'
import { connectXrayApi } from '#src/xray/api/api.ts'
import { idOf } from './xray-server.ts'

/** A server by its names: nothing here depends on ids or on the order of rows. */
export interface ServerState {
  /** By tag. */
  inbounds: Record<string, { port: number; enabled: boolean }>
  /** By name; the tags it stands in, in order. */
  clients: Record<string, { uuid: string; enabled: boolean; inbounds: string[] }>
}

/** What a running Xray serves: by tag, each user as `name uuid`. */
export type XrayState = Record<string, string[]>

interface Row {
  id: number
}
interface InboundLike extends Row {
  tag: string
  port: number
  enabled: boolean
}
interface ClientLike extends Row {
  email: string
  uuid: string
  enabled: boolean
  inbounds: number[]
}

/** Rows as a state. A name that stands there twice is an error: somebody was doubled. */
export function stateOf(inbounds: InboundLike[], clients: ClientLike[]): ServerState {
  const state: ServerState = { inbounds: {}, clients: {} }
  for (const { tag, port, enabled } of inbounds) {
    if (state.inbounds[tag] !== undefined) throw new Error(`the inbound ${tag} stands there twice`)
    state.inbounds[tag] = { port, enabled }
  }
  for (const { email, uuid, enabled, inbounds: ids } of clients) {
    if (state.clients[email] !== undefined) throw new Error(`the client ${email} stands there twice`)
    const tags = ids.map((id) => inbounds.find((inbound) => inbound.id === id)?.tag ?? `#${id}`)
    state.clients[email] = { uuid, enabled, inbounds: tags.toSorted() }
  }
  return state
}

/** What Xray is to serve, given the rows. */
export function servedBy(state: ServerState): XrayState {
  const served: XrayState = {}
  for (const [tag, { enabled }] of Object.entries(state.inbounds)) if (enabled) served[tag] = []
  for (const [email, { uuid, enabled, inbounds }] of Object.entries(state.clients))
    if (enabled) for (const tag of inbounds) served[tag]?.push(`${email} ${uuid}`)
  return sorted(served)
}

/** What the Xray of this folder serves now. */
export async function xrayState(xrayDir: string): Promise<XrayState> {
  const api = connectXrayApi(join(xrayDir, 'api.sock'))
  try {
    const served: XrayState = {}
    for (const tag of await api.inboundTags()) {
      if (tag === 'api') continue
      const users = await api.users(tag)
      served[tag] = users.map((user) => `${user.email.replace(/#\d+$/, '')} ${idOf(user)}`)
    }
    return sorted(served)
  } finally {
    api.close()
  }
}

function sorted(served: XrayState): XrayState {
  return Object.fromEntries(Object.entries(served).map(([tag, users]) => [tag, users.toSorted()]))
}

/** A database of ours, read beside the process that writes it. */
export function reading<R>(file: string, keyFile: string, read: (opened: ReturnType<typeof open>) => R): R {
  const opened = open(file, keyFile)
  try {
    return read(opened)
  } finally {
    opened.db.close()
  }
}

function open(file: string, keyFile: string) {
  const db = new Database(file, { readonly: true })
  const box = secretBoxFor(loadKey({ file: keyFile }))
  return {
    db,
    /** The node's own rows, credentials opened. */
    nodeState(): ServerState {
      const rows = createRows(db, box)
      return stateOf(rows.allInboundSettings(), rows.clients())
    },
    /** Bytes of a client that a reset would take away. */
    unreset: (email: string): number =>
      Number(
        db
          .prepare(
            `select up - reset_up from client_traffics t join clients c using (server_id)
             where server_id = 1 and c.id = t.client_id and c.email = ?`,
          )
          .pluck()
          .get(email),
      ),
    journal: () => createJournal({ sqlite: db, box, runtime: systemRuntime() }),
  }
}

/** Writes a megabyte of a client's traffic into a node's database, as its accounting does. */
export function addTraffic(file: string, email: string): void {
  const db = new Database(file)
  db.pragma('busy_timeout = 5000')
  db.transaction(() => {
    db.prepare('update sync_states set traffic_seq = traffic_seq + 1 where server_id = 1').run()
    db.prepare(
      `insert into client_traffics (server_id, client_id, up, traffic_seq)
       select 1, c.id, 1000000, s.traffic_seq from clients c, sync_states s
       where c.server_id = 1 and s.server_id = 1 and c.email = ?
       on conflict do update set up = up + 1000000, traffic_seq = excluded.traffic_seq`,
    ).run(email)
  }).immediate()
  db.close()
}

interface Change {
  operation: string
  input: unknown
}

/** The state after a change that was carried out. @param uuid of the client the change adds */
export function after(before: ServerState, { operation, input }: Change, uuid?: string): ServerState {
  const state = structuredClone(before)
  const {
    id = '',
    tag = '',
    port = 0,
    email = '',
    enabled,
    clients = [],
  } = input as {
    id?: string
    tag?: string
    port?: number
    email?: string
    enabled?: boolean
    clients?: { email: string; uuid?: string }[]
  }
  switch (operation) {
    case 'inbounds.add':
      state.inbounds[tag] = { port, enabled: true }
      break
    case 'inbounds.update': {
      const there = state.inbounds[id]
      if (there !== undefined && enabled !== undefined) there.enabled = enabled
      break
    }
    case 'inbounds.delete':
      delete state.inbounds[id]
      for (const client of Object.values(state.clients))
        client.inbounds = client.inbounds.filter((other) => other !== id)
      break
    case 'clients.add':
      for (const client of clients) {
        const there = (state.clients[client.email] ??= {
          uuid: client.uuid ?? uuid ?? '',
          enabled: true,
          inbounds: [],
        })
        there.inbounds = [...new Set([...there.inbounds, id])].toSorted()
      }
      break
    case 'clients.update': {
      const there = state.clients[email]
      if (there !== undefined && enabled !== undefined) there.enabled = enabled
      break
    }
    case 'clients.delete':
      delete state.clients[email]
      break
  }
  return state
}
