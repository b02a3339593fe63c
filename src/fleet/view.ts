import { and, asc, eq, sql } from 'drizzle-orm'
import { emailKey } from '#src/node/rows/rows.ts'
import type { Db } from '#src/store/drizzle.ts'
import { clients, inboundTraffics, inbounds } from '#src/store/schema.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { shareLink } from '#src/xray/config/links.ts'
import type { InboundSecrets, LinkSecrets } from '#src/xray/config/model.ts'
import { hasLinkSecrets, linkSecretsOf } from '#src/xray/config/secrets.ts'
import { selectClients, toClientRow } from './client-rows.ts'
import { paged } from './paging.ts'
import { linkSecretsPlace } from './mirror-rows.ts'
import { type Arrival, createPeople } from './people.ts'
import { createTags } from './tags.ts'
import type { InboundRow, Server, View } from './types.ts'

export interface ViewDeps {
  db: Db
  box: SecretBox
  servers: () => Server[]
  server: (id: number) => Server | undefined
  /** Asked for with every link: a list of a thousand rows would cost more than all the rest. */
  countServers: () => number
  /** When a mirror's rows were last known to be true. */
  syncedAt: (serverId: number) => number | null
  /** Clients that servers are told of but may not show yet. */
  arriving: () => Arrival[]
  /** Open tasks that bring tags or take them away, in order. */
  waiting: Parameters<typeof createTags>[1]
  /** The host in links of the own machine, where its row names none. */
  localHost: string | undefined
}

const slot = sql.placeholder

/** Answers from rows alone, by prepared statements: no screen waits for a server. */
export function createView(deps: ViewDeps): View {
  const { db, box, servers, server, countServers, syncedAt, localHost, arriving, waiting } = deps
  const inboundRows = db
    .select({
      serverId: inbounds.serverId,
      id: inbounds.id,
      tag: inbounds.tag,
      remark: inbounds.remark,
      protocol: inbounds.protocol,
      listen: inbounds.listen,
      port: inbounds.port,
      settings: inbounds.settings,
      stream: inbounds.stream,
      sniffing: inbounds.sniffing,
      enabled: inbounds.enabled,
      limitBytes: inbounds.limitBytes,
      expiresAt: inbounds.expiresAt,
      trafficReset: inbounds.trafficReset,
      nextResetAt: inbounds.nextResetAt,
      blocked: inbounds.blocked,
      used: sql<number>`coalesce(${inboundTraffics.up} + ${inboundTraffics.down}
        - ${inboundTraffics.resetUp} - ${inboundTraffics.resetDown}, 0)`,
      up: sql<number>`coalesce(${inboundTraffics.up}, 0)`,
      down: sql<number>`coalesce(${inboundTraffics.down}, 0)`,
      clientCount: sql<number>`(select count(*) from client_inbounds p
        where p.server_id = ${inbounds.serverId} and p.inbound_id = ${inbounds.id})`,
      rowVersion: inbounds.rowVersion,
      createdAt: inbounds.createdAt,
      updatedAt: inbounds.updatedAt,
    })
    .from(inbounds)
    .leftJoin(
      inboundTraffics,
      and(eq(inboundTraffics.serverId, inbounds.serverId), eq(inboundTraffics.inboundId, inbounds.id)),
    )
    .where(
      sql`${inbounds.serverId} = ${slot('server')} and (${slot('id')} = 0 or ${inbounds.id} = ${slot('id')})`,
    )
    .orderBy(asc(inbounds.id))
    .prepare()
  const secretsRow = db
    .select({ secrets: inbounds.secrets })
    .from(inbounds)
    .where(and(eq(inbounds.serverId, slot('server')), eq(inbounds.id, slot('id'))))
    .prepare()
  const matching = sql`${clients.serverId} = ${slot('server')}
    and (${slot('search')} = '' or instr(${clients.emailKey}, ${slot('search')}) > 0)
    and (${slot('disabled')} = 0 or ${clients.enabled} = 0)
    and (${slot('inbound')} = 0 or exists (select 1 from client_inbounds i where i.server_id = ${clients.serverId}
      and i.client_id = ${clients.id} and i.inbound_id = ${slot('inbound')}))`
  const countClients = db
    .select({ total: sql<number>`count(*)` })
    .from(clients)
    .where(matching)
    .prepare()
  const pageOfClients = selectClients(db, matching)
    .orderBy(asc(clients.emailKey))
    .limit(slot('limit'))
    .offset(slot('offset'))
    .prepare()
  const clientById = selectClients(
    db,
    and(eq(clients.serverId, slot('server')), eq(clients.id, slot('id'))),
  ).prepare()
  const clientByKey = selectClients(
    db,
    and(eq(clients.serverId, slot('server')), eq(clients.emailKey, slot('key'))),
  ).prepare()

  const ofServer = sql`(${slot('server')} = 0 or server_id = ${slot('server')})`
  const traffic = db
    .select({
      up: sql<number>`coalesce(sum(${inboundTraffics.up}), 0)`,
      down: sql<number>`coalesce(sum(${inboundTraffics.down}), 0)`,
    })
    .from(inboundTraffics)
    .where(ofServer)
    .prepare()
  const countInbounds = db
    .select({ total: sql<number>`count(*)` })
    .from(inbounds)
    .where(ofServer)
    .prepare()
  const countNames = db
    .select({ total: sql<number>`count(distinct ${clients.emailKey})` })
    .from(clients)
    .where(ofServer)
    .prepare()
  const sums = (id: number): { clients: number; up: number; down: number } => ({
    clients: countNames.get({ server: id })?.total ?? 0,
    up: 0,
    down: 0,
    ...traffic.get({ server: id }),
  })

  const people = createPeople({ db, box, servers, arriving })
  // The protocol of a row decides the shape of its settings.
  const inboundsOf = (serverId: number): InboundRow[] =>
    inboundRows.all({ server: serverId, id: 0 }) as InboundRow[]
  // Most links need none, and opening costs as much as reading the row.
  const secretsIn = (serverId: number, inbound: InboundRow): LinkSecrets => {
    const sealed = hasLinkSecrets(inbound)
      ? secretsRow.get({ server: serverId, id: inbound.id })?.secrets
      : null
    if (sealed === null || sealed === undefined) return {}
    return linkSecretsOf(
      JSON.parse(box.open(sealed, linkSecretsPlace(serverId, inbound.id))) as InboundSecrets,
    )
  }

  const view: View = {
    syncedAt: (serverId) => (server(serverId)?.kind === 'local' ? null : syncedAt(serverId)),
    inbounds: inboundsOf,
    inbound: (serverId, id) =>
      id > 0 ? (inboundRows.get({ server: serverId, id }) as InboundRow | undefined) : undefined,

    tags: createTags(db, waiting),

    clients(serverId, query) {
      const filter = {
        server: serverId,
        search: emailKey(query.search?.trim() ?? ''),
        disabled: query.filter === 'disabled' ? 1 : 0,
        inbound: query.inboundId ?? 0,
      }
      return paged(query, countClients.get(filter)?.total ?? 0, (limit, offset) =>
        pageOfClients.all({ ...filter, limit, offset }).map((row) => toClientRow(box, row)),
      )
    },
    client(serverId, id) {
      const row = clientById.get({ server: serverId, id })
      return row && toClientRow(box, row)
    },
    clientByEmail(serverId, email) {
      const row = clientByKey.get({ server: serverId, key: emailKey(email) })
      return row && toClientRow(box, row)
    },
    people: (query) => people.people(query),
    person: (email) => people.person(email),

    links(serverId, clientId) {
      const client = view.client(serverId, clientId)
      const here = server(serverId)
      const host = here && linkHost(here, localHost)
      if (client === undefined || here === undefined || host === undefined) return []
      const single = countServers() === 1
      return inboundsOf(serverId)
        .filter((inbound) => client.inbounds.includes(inbound.id))
        .flatMap((inbound) => {
          // Several servers in one app must be told apart by name.
          const name = `${here.name}-${inbound.remark || inbound.tag}-${client.email}`
          const link = shareLink({
            inbound: { ...inbound, linkSecrets: secretsIn(serverId, inbound) },
            client,
            host,
            ...(single ? {} : { name }),
          })
          return link === null ? [] : [{ tag: inbound.tag, link }]
        })
    },

    totals: () => ({ servers: countServers(), ...sums(0) }),
    serverTotals: (serverId) => ({
      inbounds: countInbounds.get({ server: serverId })?.total ?? 0,
      ...sums(serverId),
    }),
  }
  return view
}

/** The address clients dial: as set, else where the controller itself finds the server. */
export function linkHost(server: Server, localHost: string | undefined): string | undefined {
  if (server.publicAddress !== null) return server.publicAddress
  if (server.kind === 'local') return localHost
  return server.endpoint === null ? undefined : new URL(server.endpoint).hostname.replace(/^\[(.*)\]$/, '$1')
}
