import type { Client, InboundStream } from '#src/contract/index.ts'
import { prepareByFields } from '#src/store/by-fields.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { createTombstones } from './tombstones.ts'

/** An inbound of this node, as most need it: its private key stays sealed. */
export interface InboundSettings {
  id: number
  tag: string
  remark: string
  protocol: 'vless'
  listen: string
  port: number
  stream: InboundStream
  sniffing: { enabled: boolean; destOverride: ('http' | 'tls' | 'quic' | 'fakedns')[] }
  enabled: boolean
  rowVersion: number
  changeSeq: number
  createdAt: number
  updatedAt: number
}

/** An inbound of this node, private key opened. */
export interface InboundRecord extends InboundSettings {
  privateKey: string | null
}

/** A client of this node, credentials opened. */
export interface ClientRecord {
  id: number
  email: string
  uuid: string
  subscriptionId: string
  flow: Client['flow']
  enabled: boolean
  comment: string
  inbounds: number[]
  rowVersion: number
  changeSeq: number
  createdAt: number
  updatedAt: number
}

interface RawInbound extends Omit<InboundSettings, 'stream' | 'sniffing' | 'enabled'> {
  stream: string
  sniffing: string
  enabled: number
  secrets: string | null
}

interface RawClient extends Omit<ClientRecord, 'enabled' | 'inbounds' | 'uuid' | 'subscriptionId'> {
  enabled: number
  credentials: string
  inbounds: string | null
}

const S = LOCAL_SERVER_ID

const inboundColumns = `id, tag, remark, protocol, listen, port, stream, secrets, sniffing, enabled,
  row_version as rowVersion, change_seq as changeSeq, created_at as createdAt, updated_at as updatedAt`

const clientColumns = `id, email, credentials, flow, enabled, comment,
  row_version as rowVersion, change_seq as changeSeq, created_at as createdAt, updated_at as updatedAt,
  (select group_concat(inbound_id) from client_inbounds p where p.server_id = ${S} and p.client_id = c.id) as inbounds`

/** How a client's name is compared: as Xray does. */
export function emailKey(email: string): string {
  return email.toLowerCase()
}

export type Rows = ReturnType<typeof createRows>

/**
 * This node's inbounds and clients, by prepared statements: they stand on hot paths, and drizzle would double an
 * agent's memory. Only rows of the own server are ever read or written here.
 */
export function createRows(db: Sqlite, box: SecretBox) {
  const inboundPlace = (id: number): string => `inbounds:${S}:${id}:secrets`
  const clientPlace = (id: number): string => `clients:${S}:${id}:credentials`

  const inboundById = db.prepare(`select ${inboundColumns} from inbounds where server_id = ${S} and id = ?`)
  const inboundByTag = db.prepare(`select ${inboundColumns} from inbounds where server_id = ${S} and tag = ?`)
  const allInbounds = db.prepare(`select ${inboundColumns} from inbounds where server_id = ${S} order by id`)
  const clientById = db.prepare(`select ${clientColumns} from clients c where server_id = ${S} and id = ?`)
  const clientByKey = db.prepare(
    `select ${clientColumns} from clients c where server_id = ${S} and email_key = ?`,
  )
  const allClients = db.prepare(`select ${clientColumns} from clients c where server_id = ${S} order by id`)
  const clientsIn = db.prepare(
    // "cross": from the placements, whose index knows the inbound; SQLite would search every client of the server.
    `select ${clientColumns} from client_inbounds i cross join clients c on c.server_id = ${S} and c.id = i.client_id
     where i.server_id = ${S} and i.inbound_id = ? order by c.id`,
  )
  const countIn = db
    .prepare(`select count(*) from client_inbounds where server_id = ${S} and inbound_id = ?`)
    .pluck()

  const putInbound = db.prepare(
    `insert into inbounds (server_id, id, tag, remark, protocol, listen, port, stream, secrets, sniffing, enabled,
       row_version, change_seq, created_at, updated_at)
     values (${S}, @id, @tag, @remark, @protocol, @listen, @port, @stream, @secrets, @sniffing, @enabled,
       @rowVersion, @changeSeq, @createdAt, @updatedAt)
     on conflict (server_id, id) do update set tag = excluded.tag, remark = excluded.remark, listen = excluded.listen,
       port = excluded.port, stream = excluded.stream, secrets = excluded.secrets, sniffing = excluded.sniffing,
       enabled = excluded.enabled, row_version = excluded.row_version, change_seq = excluded.change_seq,
       updated_at = excluded.updated_at`,
  )
  const putClient = prepareByFields(
    db,
    `insert into clients (server_id, id, email, email_key, credentials, flow, enabled, comment, row_version,
       change_seq, created_at, updated_at)
     values (${S}, @id, @email, @emailKey, @credentials, @flow, @enabled, @comment, @rowVersion, @changeSeq,
       @createdAt, @updatedAt)
     on conflict (server_id, id) do update set email = excluded.email, email_key = excluded.email_key,
       credentials = excluded.credentials, flow = excluded.flow, enabled = excluded.enabled,
       comment = excluded.comment, row_version = excluded.row_version, change_seq = excluded.change_seq,
       updated_at = excluded.updated_at`,
  )
  const place = db.prepare(
    `insert into client_inbounds (server_id, client_id, inbound_id) values (${S}, ?, ?) on conflict do nothing`,
  )
  const unplace = db.prepare(`delete from client_inbounds where server_id = ${S} and client_id = ?`)
  const deleteInbound = db.prepare(`delete from inbounds where server_id = ${S} and id = ?`)
  const deleteClient = db.prepare(`delete from clients where server_id = ${S} and id = ?`)
  const tombstones = createTombstones(db)

  function inboundSettings(raw: unknown): InboundSettings | undefined {
    if (raw === undefined) return undefined
    const { secrets: _, ...row } = raw as RawInbound
    return {
      ...row,
      stream: JSON.parse(row.stream) as InboundStream,
      sniffing: JSON.parse(row.sniffing) as InboundSettings['sniffing'],
      enabled: row.enabled === 1,
    }
  }

  function inbound(raw: unknown): InboundRecord | undefined {
    const row = inboundSettings(raw)
    if (row === undefined) return undefined
    const { secrets } = raw as RawInbound
    return {
      ...row,
      privateKey:
        secrets === null
          ? null
          : (JSON.parse(box.open(secrets, inboundPlace(row.id))) as { privateKey: string }).privateKey,
    }
  }

  function client(raw: unknown): ClientRecord | undefined {
    if (raw === undefined) return undefined
    const { credentials, ...row } = raw as RawClient
    const { uuid, subscriptionId } = JSON.parse(box.open(credentials, clientPlace(row.id))) as {
      uuid: string
      subscriptionId: string
    }
    return {
      ...row,
      uuid,
      subscriptionId,
      enabled: row.enabled === 1,
      inbounds:
        row.inbounds === null
          ? []
          : row.inbounds
              .split(',')
              .map(Number)
              .toSorted((a, b) => a - b),
    }
  }

  function writeClient(row: ClientRecord): void {
    const { uuid, subscriptionId, inbounds, ...rest } = row
    putClient.run({
      ...rest,
      emailKey: emailKey(row.email),
      enabled: row.enabled ? 1 : 0,
      credentials: box.seal(JSON.stringify({ uuid, subscriptionId }), clientPlace(row.id)),
    })
    for (const inboundId of inbounds) place.run(row.id, inboundId)
  }

  const defined = <T>(values: (T | undefined)[]): T[] => values.filter((value) => value !== undefined)

  return {
    inbound: (id: number) => inbound(inboundById.get(id)),
    inboundSettings: (id: number) => inboundSettings(inboundById.get(id)),
    inboundByTag: (tag: string) => inboundSettings(inboundByTag.get(tag)),
    inbounds: () => defined(allInbounds.all().map(inbound)),
    allInboundSettings: () => defined(allInbounds.all().map(inboundSettings)),
    client: (id: number) => client(clientById.get(id)),
    clientByEmail: (email: string) => client(clientByKey.get(emailKey(email))),
    clients: () => defined(allClients.all().map(client)),
    clientsIn: (inboundId: number) => defined(clientsIn.all(inboundId).map(client)),
    clientCount: (inboundId: number) => countIn.get(inboundId) as number,

    saveInbound(row: InboundRecord): void {
      const { privateKey, ...rest } = row
      putInbound.run({
        ...rest,
        stream: JSON.stringify(row.stream),
        sniffing: JSON.stringify(row.sniffing),
        enabled: row.enabled ? 1 : 0,
        secrets: privateKey === null ? null : box.seal(JSON.stringify({ privateKey }), inboundPlace(row.id)),
      })
      tombstones.unbury('inbound', row.id)
    },

    /** A client with an id that was never used: nothing of it can be there. */
    addClient: writeClient,

    /** Placements are part of the row: those not named are gone. */
    saveClient(row: ClientRecord): void {
      unplace.run(row.id)
      writeClient(row)
      tombstones.unbury('client', row.id)
    },

    removeInbound(id: number, changeSeq: number): void {
      deleteInbound.run(id)
      tombstones.bury('inbound', id, changeSeq)
    },

    removeClient(id: number, changeSeq: number): void {
      deleteClient.run(id)
      tombstones.bury('client', id, changeSeq)
    },
  }
}
