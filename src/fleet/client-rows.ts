import type { SQL } from 'drizzle-orm'
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '#src/store/drizzle.ts'
import { clientTraffics, clients } from '#src/store/schema.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { credentialsPlace } from './mirror-rows.ts'
import type { ClientRow } from './types.ts'

/** Bytes since the last reset: lifetime counters less what lay before it. */
const up = sql<number>`coalesce(${clientTraffics.up} - ${clientTraffics.resetUp}, 0)`
const down = sql<number>`coalesce(${clientTraffics.down} - ${clientTraffics.resetDown}, 0)`

const placements = sql<string>`(
  select json_group_array(inbound_id) from (
    select inbound_id from client_inbounds p
    where p.server_id = ${clients.serverId} and p.client_id = ${clients.id} order by inbound_id
  )
)`

/** Clients as rows with traffic and placements, in one query whatever their number. Ordered by the caller. */
export function selectClients(db: Db, where: SQL | undefined) {
  return db
    .select({
      serverId: clients.serverId,
      id: clients.id,
      email: clients.email,
      emailKey: clients.emailKey,
      credentials: clients.credentials,
      flow: clients.flow,
      enabled: clients.enabled,
      comment: clients.comment,
      limitBytes: clients.limitBytes,
      expiresAt: clients.expiresAt,
      lastsDays: clients.lastsDays,
      resetDays: clients.resetDays,
      nextResetAt: clients.nextResetAt,
      ipLimit: clients.ipLimit,
      telegramId: clients.telegramId,
      startedAt: clients.startedAt,
      blocked: clients.blocked,
      inbounds: placements,
      up,
      down,
      lastActiveAt: clientTraffics.lastActiveAt,
      rowVersion: clients.rowVersion,
      createdAt: clients.createdAt,
      updatedAt: clients.updatedAt,
    })
    .from(clients)
    .leftJoin(
      clientTraffics,
      and(eq(clientTraffics.serverId, clients.serverId), eq(clientTraffics.clientId, clients.id)),
    )
    .where(where)
    .$dynamic()
}

type Selected = ReturnType<ReturnType<typeof selectClients>['all']>[number]

/** Opens a selected row's credentials. */
export function toClientRow(box: SecretBox, selected: Selected): ClientRow {
  const { credentials, emailKey: _key, inbounds, ...row } = selected
  const opened = JSON.parse(box.open(credentials, credentialsPlace(row.serverId, row.id))) as {
    uuid: string
    password?: string
    subscriptionId: string
  }
  return {
    ...row,
    uuid: opened.uuid,
    password: opened.password ?? opened.uuid,
    subscriptionId: opened.subscriptionId,
    inbounds: JSON.parse(inbounds) as number[],
  }
}
