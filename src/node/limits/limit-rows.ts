import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { DAY_MS } from '#src/runtime.ts'
import { createCounts } from '../rows/counts.ts'
import { type ClientLimits, type InboundLimits } from './limits.ts'
import { nearest } from './nearness.ts'
import type { PositionStore } from '../rows/position.ts'

/** What was counted of a client or an inbound. */
interface Counted {
  id: number
  name: string
  enabled: boolean
  /** Since its count last began anew. */
  bytes: number
  /** Lifetime bytes when its count last began anew. */
  countedFrom: number
}

type LimitedClient = ClientLimits &
  Counted & {
    of: 'client'
    /** Whether it has moved anything since days from first use were last given. */
    isUsed: boolean
  }
type LimitedInbound = InboundLimits & Counted & { of: 'inbound' }
export type Limited = LimitedClient | LimitedInbound
export type LimitedAfter = Limited & { resets: boolean }

interface Raw extends Record<string, unknown> {
  enabled: number
  isUsed?: number
}

const S = LOCAL_SERVER_ID

const counted = `coalesce(up + down - reset_up - reset_down, 0) as bytes, coalesce(reset_up + reset_down, 0) as countedFrom`
/** What holds of every row there is something to do or to say about, and of few others. */
const isRemarkable = `blocked is not null or expires_at <= @now + ${nearest.ms} or next_reset_at <= @now
  or up + down - reset_up - reset_down >= limit_bytes * ${nearest.share}`

/**
 * Limits of this node's clients and inbounds beside what was counted: no more of the rows, and only of those that may
 * be at a limit. All of them are looked at with every reading of the counters, and of 10,000 few are.
 */
export function createLimitRows(db: Sqlite, position: PositionStore) {
  const clients = db.prepare(
    `select 'client' as of, c.id, email as name, enabled, limit_bytes as limitBytes, expires_at as expiresAt,
       lasts_days as lastsDays, reset_days as resetDays, next_reset_at as nextResetAt, ip_limit as ipLimit,
       started_at as startedAt, blocked, ${counted}, coalesce(up + down > unused_until, 0) as isUsed
     from clients c left join client_traffics t on t.server_id = c.server_id and t.client_id = c.id
     where c.server_id = ${S} and (${isRemarkable} or next_reset_at > @now + 2 * reset_days * ${DAY_MS}
       or (started_at is null and up + down > unused_until)
       or (ip_limit is not null and email_key in (select value from json_each(@crowded))))`,
  )
  const inbounds = db.prepare(
    `select 'inbound' as of, i.id, tag as name, enabled, limit_bytes as limitBytes, expires_at as expiresAt,
       traffic_reset as trafficReset, next_reset_at as nextResetAt, blocked, ${counted}
     from inbounds i left join inbound_traffics t on t.server_id = i.server_id and t.inbound_id = i.id
     where i.server_id = ${S} and (${isRemarkable} or traffic_reset <> 'never')`,
  )
  // No row_version: nobody has edited anything, and an admin who is about to must not be refused for it.
  const saveClient = db.prepare(
    `update clients set blocked = @blocked, started_at = @startedAt, expires_at = @expiresAt,
       next_reset_at = @nextResetAt, change_seq = @changeSeq
     where server_id = ${S} and id = @id`,
  )
  const saveInbound = db.prepare(
    `update inbounds set blocked = @blocked, next_reset_at = @nextResetAt, change_seq = @changeSeq
     where server_id = ${S} and id = @id`,
  )
  const counts = { client: createCounts(db, 'client'), inbound: createCounts(db, 'inbound') }

  return {
    /**
     * Those that are at a limit, near one, or blocked; whose count is due to begin anew; that were used first.
     * @param crowded keys of the clients that are used from several places
     */
    read(now: number, crowded: readonly string[]): Limited[] {
      const rows = [
        ...inbounds.all({ now }),
        ...clients.all({ now, crowded: JSON.stringify(crowded) }),
      ] as Raw[]
      return rows.map(({ enabled, isUsed, ...row }) => ({
        ...row,
        enabled: enabled === 1,
        isUsed: isUsed === 1,
      })) as Limited[]
    },

    /** Inside the transaction of the change. */
    save(row: LimitedAfter, changeSeq: number): void {
      const { id, blocked, nextResetAt } = row
      if (row.of === 'inbound') saveInbound.run({ id, blocked, nextResetAt, changeSeq })
      else {
        const { startedAt, expiresAt } = row
        saveClient.run({ id, blocked, nextResetAt, startedAt, expiresAt, changeSeq })
      }
      if (row.resets) counts[row.of].reset(id, position.nextTraffic())
    },
  }
}
