import type { Changes, MirroredClient, MirroredInbound } from '#src/contract/index.ts'
import { clientColumns, inboundColumns, upsert } from '#src/node/rows/columns.ts'
import { emailKey } from '#src/node/rows/rows.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'

/** How far a mirror has followed its server. */
export interface MirrorPosition {
  epoch: string
  changeSeq: number
  trafficSeq: number
  syncedAt: number | null
}

const NOWHERE: MirrorPosition = { epoch: '', changeSeq: 0, trafficSeq: 0, syncedAt: null }

export type MirrorRows = ReturnType<typeof createMirrorRows>

/** Where a client's sealed credentials stand: the same for a mirror as for the own node. */
export function credentialsPlace(serverId: number, clientId: number): string {
  return `clients:${serverId}:${clientId}:credentials`
}

/** Where those keys of an inbound stand sealed that its links hold. */
export function linkSecretsPlace(serverId: number, inboundId: number): string {
  return `inbounds:${serverId}:${inboundId}:secrets`
}

/** The mirror's rows. The server_id always comes from the connection that was asked, never from an answer. */
export function createMirrorRows(sqlite: Sqlite, box: SecretBox) {
  const position = sqlite.prepare(
    `select epoch, change_seq as changeSeq, traffic_seq as trafficSeq, synced_at as syncedAt
     from sync_states where server_id = ?`,
  )
  const savePosition = sqlite.prepare(
    `insert into sync_states (server_id, epoch, change_seq, traffic_seq, synced_at)
     values (@serverId, @epoch, @changeSeq, @trafficSeq, @now)
     on conflict (server_id) do update set epoch = excluded.epoch, change_seq = excluded.change_seq,
       traffic_seq = excluded.traffic_seq, synced_at = excluded.synced_at`,
  )
  const touch = sqlite.prepare('update sync_states set synced_at = ? where server_id = ?')
  const mirrored = sqlite.prepare(`select 1 from servers where id = ? and kind <> 'local'`)
  const activity = sqlite.prepare(
    `select c.email_key as email, t.up + t.down as bytes, t.last_active_at as at
     from client_traffics t join clients c on c.server_id = t.server_id and c.id = t.client_id where t.server_id = ?`,
  )
  const setActivity = sqlite.prepare(
    `update client_traffics set last_active_at = case when up + down > @bytes then @now else @at end
     where server_id = @serverId
       and client_id = (select id from clients where server_id = @serverId and email_key = @email)`,
  )
  const clear = ['clients', 'inbounds', 'outbound_traffics'].map((table) =>
    sqlite.prepare(`delete from ${table} where server_id = ?`),
  )
  const deleteInbound = sqlite.prepare('delete from inbounds where server_id = ? and id = ?')
  const deleteClient = sqlite.prepare('delete from clients where server_id = ? and id = ?')
  // Tags can change places. A control character can stand in no tag, so what is parked clashes with nothing.
  const parkInbound = sqlite.prepare(`update inbounds set tag = char(1) || id where server_id = ? and id = ?`)
  const evictTag = sqlite.prepare('delete from inbounds where server_id = ? and tag = ? and id <> ?')
  const evictEmail = sqlite.prepare('delete from clients where server_id = ? and email_key = ? and id <> ?')
  const putInbound = sqlite.prepare(upsert('inbounds', inboundColumns, '@serverId'))
  const putClient = sqlite.prepare(upsert('clients', clientColumns, '@serverId'))
  const unplace = sqlite.prepare('delete from client_inbounds where server_id = ? and client_id = ?')
  // Selected rather than inserted as told: a placement in an inbound that is not there must not fail the rest.
  const place = sqlite.prepare(
    `insert into client_inbounds (server_id, client_id, inbound_id)
     select server_id, @clientId, id from inbounds where server_id = @serverId and id = @inboundId
     on conflict do nothing`,
  )
  const clientTraffic = sqlite.prepare(
    `insert into client_traffics (server_id, client_id, up, down, traffic_seq, reset_up, reset_down, last_active_at)
     select server_id, id, @up, @down, @trafficSeq, @resetUp, @resetDown, @activeAt
       from clients where server_id = @serverId and id = @id
     on conflict (server_id, client_id) do update set
       last_active_at =
         case when excluded.up + excluded.down > up + down then @now else last_active_at end,
       up = excluded.up, down = excluded.down, traffic_seq = excluded.traffic_seq,
       reset_up = excluded.reset_up, reset_down = excluded.reset_down`,
  )
  const inboundTraffic = sqlite.prepare(
    `insert into inbound_traffics (server_id, inbound_id, up, down, traffic_seq, reset_up, reset_down)
     select server_id, id, @up, @down, @trafficSeq, @resetUp, @resetDown
       from inbounds where server_id = @serverId and id = @id
     on conflict (server_id, inbound_id) do update set up = excluded.up, down = excluded.down,
       traffic_seq = excluded.traffic_seq, reset_up = excluded.reset_up, reset_down = excluded.reset_down`,
  )
  const outboundTraffic = sqlite.prepare(
    `insert into outbound_traffics (server_id, tag, up, down, traffic_seq)
     values (@serverId, @tag, @up, @down, @trafficSeq)
     on conflict (server_id, tag) do update set up = excluded.up, down = excluded.down,
       traffic_seq = excluded.traffic_seq`,
  )

  function saveInbounds(serverId: number, changeSeq: number, rows: readonly MirroredInbound[]): void {
    for (const row of rows) parkInbound.run(serverId, row.id)
    for (const { linkSecrets, ...row } of rows) {
      evictTag.run(serverId, row.tag, row.id)
      const place = linkSecretsPlace(serverId, row.id)
      putInbound.run({
        ...row,
        serverId,
        changeSeq,
        settings: JSON.stringify(row.settings),
        stream: JSON.stringify(row.stream),
        sniffing: JSON.stringify(row.sniffing),
        secrets: Object.keys(linkSecrets).length === 0 ? null : box.seal(JSON.stringify(linkSecrets), place),
        enabled: Number(row.enabled),
      })
    }
  }

  function saveClients(serverId: number, changeSeq: number, rows: readonly MirroredClient[]): void {
    for (const { uuid, password, subscriptionId, inbounds, ...row } of rows) {
      const key = emailKey(row.email)
      evictEmail.run(serverId, key, row.id)
      const credentials = box.seal(
        JSON.stringify({ uuid, password, subscriptionId }),
        credentialsPlace(serverId, row.id),
      )
      const enabled = Number(row.enabled)
      putClient.run({ ...row, serverId, changeSeq, emailKey: key, credentials, enabled })
      unplace.run(serverId, row.id)
      for (const inboundId of inbounds) place.run({ serverId, clientId: row.id, inboundId })
    }
  }

  function saveTraffic(serverId: number, changes: Changes, now: number): void {
    const { trafficSeq, traffic, full } = changes
    for (const row of traffic.clients) {
      // The first counters of a mirror say nothing of when the traffic was; those of a client new to it do.
      const activeAt = !full && row.up + row.down > 0 ? now : null
      clientTraffic.run({ ...row, serverId, trafficSeq, now, activeAt })
    }
    for (const row of traffic.inbounds) inboundTraffic.run({ ...row, serverId, trafficSeq })
    for (const row of traffic.outbounds) outboundTraffic.run({ ...row, serverId, trafficSeq })
  }

  return {
    position: (serverId: number): MirrorPosition =>
      (position.get(serverId) as MirrorPosition | undefined) ?? NOWHERE,

    /** The rows are as they were, but this is known of a later moment. */
    touch: (serverId: number, at: number) => touch.run(at, serverId),

    /** Applies one answer, all of it or nothing. A server that is gone meanwhile gets no rows. */
    apply: (serverId: number, changes: Changes, now: number): void =>
      sqlite
        .transaction(() => {
          if (mirrored.get(serverId) === undefined) return
          // When somebody was last active is known here alone: it outlives a fresh start of the rows.
          const before = changes.full ? activity.all(serverId) : []
          if (changes.full) for (const statement of clear) statement.run(serverId)
          for (const { kind, id } of changes.deleted)
            (kind === 'inbound' ? deleteInbound : deleteClient).run(serverId, id)
          saveInbounds(serverId, changes.changeSeq, changes.inbounds)
          saveClients(serverId, changes.changeSeq, changes.clients)
          saveTraffic(serverId, changes, now)
          for (const row of before) setActivity.run({ ...(row as object), serverId, now })
          const { epoch, changeSeq, trafficSeq } = changes
          savePosition.run({ serverId, epoch, changeSeq, trafficSeq, now })
        })
        .immediate(),
  }
}
