import { prepareByFields } from '#src/store/by-fields.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import type { InboundSecrets } from '#src/xray/config/model.ts'
import { hasLinkSecrets, linkSecretsOf } from '#src/xray/config/secrets.ts'
import { clientColumns, fieldsOf, inboundColumns, selected, upsert } from './columns.ts'
import type { ClientRecord, InboundRecord, InboundSettings } from './records.ts'
import { createTombstones } from './tombstones.ts'

interface RawInbound extends Record<string, unknown> {
  id: number
  settings: string
  stream: string
  sniffing: string
  enabled: number
  secrets: string | null
}

interface RawClient extends Omit<
  ClientRecord,
  'enabled' | 'inbounds' | 'uuid' | 'password' | 'subscriptionId'
> {
  enabled: number
  emailKey: string
  credentials: string
  inbounds: string | null
}

const S = LOCAL_SERVER_ID

const inboundSelect = `select ${selected(inboundColumns)} from inbounds where server_id = ${S}`

const clientSelect = `select ${selected(clientColumns)},
  (select group_concat(inbound_id) from client_inbounds p where p.server_id = ${S} and p.client_id = c.id) as inbounds`

/** How a client's name is compared: as Xray does. */
export function emailKey(email: string): string {
  return email.toLowerCase()
}

interface Credentials {
  uuid: string
  password?: string
  subscriptionId: string
}

export type Rows = ReturnType<typeof createRows>

/**
 * This node's inbounds and clients, by prepared statements: they stand on hot paths, and drizzle would double an
 * agent's memory. Only rows of the own server are ever read or written here.
 */
export function createRows(db: Sqlite, box: SecretBox) {
  const inboundPlace = (id: number): string => `inbounds:${S}:${id}:secrets`
  const clientPlace = (id: number): string => `clients:${S}:${id}:credentials`

  const inboundById = db.prepare(`${inboundSelect} and id = ?`)
  const inboundByTag = db.prepare(`${inboundSelect} and tag = ?`)
  const allInbounds = db.prepare(`${inboundSelect} order by id`)
  const clientById = db.prepare(`${clientSelect} from clients c where server_id = ${S} and id = ?`)
  const clientByKey = db.prepare(`${clientSelect} from clients c where server_id = ${S} and email_key = ?`)
  const allClients = db.prepare(`${clientSelect} from clients c where server_id = ${S} order by id`)
  const clientsIn = db.prepare(
    // "cross": from the placements, whose index knows the inbound; SQLite would search every client of the server.
    `${clientSelect} from client_inbounds i cross join clients c on c.server_id = ${S} and c.id = i.client_id
     where i.server_id = ${S} and i.inbound_id = ? order by c.id`,
  )
  const countIn = db
    .prepare(`select count(*) from client_inbounds where server_id = ${S} and inbound_id = ?`)
    .pluck()

  const putInbound = db.prepare(upsert('inbounds', inboundColumns, String(S)))
  const putClient = prepareByFields(db, upsert('clients', clientColumns, String(S)))
  const place = db.prepare(
    `insert into client_inbounds (server_id, client_id, inbound_id) values (${S}, ?, ?) on conflict do nothing`,
  )
  const unplace = db.prepare(`delete from client_inbounds where server_id = ${S} and client_id = ?`)
  const deleteInbound = db.prepare(`delete from inbounds where server_id = ${S} and id = ?`)
  const deleteClient = db.prepare(`delete from clients where server_id = ${S} and id = ?`)
  const tombstones = createTombstones(db)

  const openSecrets = ({ id, secrets }: RawInbound): InboundSecrets =>
    secrets === null ? {} : (JSON.parse(box.open(secrets, inboundPlace(id))) as InboundSecrets)

  function parsed(raw: RawInbound): Omit<InboundSettings, 'linkSecrets'> {
    const { secrets: _, ...row } = raw
    return {
      ...row,
      settings: JSON.parse(row.settings) as unknown,
      stream: JSON.parse(row.stream) as unknown,
      sniffing: JSON.parse(row.sniffing) as unknown,
      enabled: row.enabled === 1,
    } as Omit<InboundSettings, 'linkSecrets'>
  }

  function inboundSettings(raw: unknown): InboundSettings | undefined {
    if (raw === undefined) return undefined
    const row = parsed(raw as RawInbound) as InboundSettings
    // Most links need none, and opening costs as much as reading the row.
    return { ...row, linkSecrets: hasLinkSecrets(row) ? linkSecretsOf(openSecrets(raw as RawInbound)) : {} }
  }

  function opened(raw: RawInbound): InboundRecord {
    const secrets = openSecrets(raw)
    const row = parsed(raw) as InboundSettings
    return { ...row, secrets, linkSecrets: hasLinkSecrets(row) ? linkSecretsOf(secrets) : {} }
  }

  const inbound = (raw: unknown) => (raw === undefined ? undefined : opened(raw as RawInbound))

  function client(raw: unknown): ClientRecord | undefined {
    if (raw === undefined) return undefined
    const { credentials, emailKey: _, ...row } = raw as RawClient
    const opened = JSON.parse(box.open(credentials, clientPlace(row.id))) as Credentials
    return {
      ...row,
      ...opened,
      // Rows from before there were passwords.
      password: opened.password ?? opened.uuid,
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
    const { uuid, password, subscriptionId, inbounds, ...rest } = row
    const credentials: Credentials = { uuid, password, subscriptionId }
    putClient.run({
      ...rest,
      emailKey: emailKey(row.email),
      enabled: row.enabled ? 1 : 0,
      credentials: box.seal(JSON.stringify(credentials), clientPlace(row.id)),
    })
    for (const inboundId of inbounds) place.run(row.id, inboundId)
  }

  const defined = <T>(values: (T | undefined)[]): T[] => values.filter((value) => value !== undefined)

  return {
    /** A row of the table as it once stood there. */
    inboundOf: (row: Record<string, unknown>) => opened(fieldsOf(inboundColumns, row) as RawInbound),
    inbound: (id: number) => inbound(inboundById.get(id)),
    inboundSettings: (id: number) => inboundSettings(inboundById.get(id)),
    inboundByTag: (tag: string) => inboundSettings(inboundByTag.get(tag)),
    inbounds: () => defined(allInbounds.all().map(inbound)),
    allInboundSettings: () => defined(allInbounds.all().map(inboundSettings)),
    client: (id: number) => client(clientById.get(id)),
    clientByEmail: (email: string) => client(clientByKey.get(emailKey(email))),
    /** A row that was taken aside; where it stood is told elsewhere. */
    clientOf: (row: Readonly<Record<string, unknown>>) =>
      client({ ...fieldsOf(clientColumns, row), inbounds: null }),
    clients: () => defined(allClients.all().map(client)),
    clientsIn: (inboundId: number) => defined(clientsIn.all(inboundId).map(client)),
    clientCount: (inboundId: number) => countIn.get(inboundId) as number,

    saveInbound(row: InboundRecord): void {
      const { secrets, linkSecrets: _, ...rest } = row
      putInbound.run({
        ...rest,
        settings: JSON.stringify(row.settings),
        stream: JSON.stringify(row.stream),
        sniffing: JSON.stringify(row.sniffing),
        enabled: row.enabled ? 1 : 0,
        secrets:
          Object.keys(secrets).length === 0 ? null : box.seal(JSON.stringify(secrets), inboundPlace(row.id)),
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
