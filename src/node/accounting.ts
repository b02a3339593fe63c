/**
 * Traffic, counted once. Xray's own counters start at zero with every start of Xray and are never reset by us:
 * what is new is the difference to the last reading of the same start, and it is added to lifetime counters in the
 * transaction that keeps the reading. So a kill between two readings neither loses nor doubles a byte; only a crash
 * of Xray itself takes what it counted since the last reading with it.
 */
import type { Protocol } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { countsUsers } from '#src/xray/account.ts'
import { DAY_MS } from './limits.ts'
import type { PositionStore } from './position.ts'
import { emailKey } from './rows.ts'
import { parseXrayName } from '#src/xray/user-name.ts'

const S = LOCAL_SERVER_ID

export interface AccountingDeps {
  db: Sqlite
  position: PositionStore
  now: () => number
}

interface Delta {
  up: number
  down: number
}

/** The parts of Xray's counter names: `user>>>anna#12>>>traffic>>>uplink`. */
const counterName = /^(user|inbound|outbound)>>>(.*)>>>traffic>>>(uplink|downlink)$/s

export type Accounting = ReturnType<typeof createAccounting>

export function createAccounting({ db, position, now }: AccountingDeps) {
  const readings = db.prepare('select name, value from xray_counters where xray_start = ?')
  const forgetOthers = db.prepare('delete from xray_counters where xray_start <> ?')
  const keep = db.prepare(
    `insert into xray_counters (name, xray_start, value) values (?, ?, ?)
     on conflict (name) do update set xray_start = excluded.xray_start, value = excluded.value`,
  )
  const clientId = db.prepare(`select id from clients where server_id = ${S} and email_key = ?`).pluck()
  const isInbound = db.prepare(`select 1 from inbounds where server_id = ${S} and id = ?`).pluck()
  const inboundByTag = db.prepare(`select id, protocol from inbounds where server_id = ${S} and tag = ?`)
  /** Xray's own count of an inbound; of one whose users it counts, the same bytes stand there. */
  const inboundOf = (tag: string) => inboundByTag.get(tag) as { id: number; protocol: Protocol } | undefined

  const grow = (table: string, key: string, more = '') =>
    db.prepare(
      `insert into ${table} (server_id, ${key}, up, down, traffic_seq${more === '' ? '' : `, ${more}`})
       values (${S}, @key, @up, @down, @seq${more === '' ? '' : ', @now'})
       on conflict (server_id, ${key}) do update set up = up + excluded.up, down = down + excluded.down,
         traffic_seq = excluded.traffic_seq${more === '' ? '' : `, ${more} = excluded.${more}`}`,
    )
  const addToClient = grow('client_traffics', 'client_id', 'last_active_at')
  const addToInbound = grow('inbound_traffics', 'inbound_id')
  const addToOutbound = grow('outbound_traffics', 'tag')

  const addToDay = db.prepare(
    `insert into traffic_days (server_id, kind, subject, day, up, down) values (${S}, @kind, @subject, @day, @up, @down)
     on conflict (server_id, kind, subject, day) do update set up = up + excluded.up, down = down + excluded.down`,
  )
  const ofDay = (
    kind: 'client' | 'inbound' | 'outbound',
    subject: number | string,
    { up, down }: Delta,
  ): void => void addToDay.run({ kind, subject: String(subject), day: Math.floor(now() / DAY_MS), up, down })

  /** What a person moved belongs to the client and to the inbound; one of them that is gone takes nothing. */
  function addUserTraffic(name: string, delta: Delta, seq: number): void {
    const parts = parseXrayName(name)
    if (parts === null) return
    const client = clientId.get(emailKey(parts.email)) as number | undefined
    if (client !== undefined) {
      addToClient.run({ key: client, ...delta, seq, now: now() })
      ofDay('client', client, delta)
    }
    if (isInbound.get(parts.inboundId) !== undefined) {
      addToInbound.run({ key: parts.inboundId, ...delta, seq })
      ofDay('inbound', parts.inboundId, delta)
    }
  }

  return {
    /**
     * Adds what is new in a reading of all counters to the lifetime counters.
     * @param xrayStart names the start of Xray the reading was taken from
     * @returns whether anything grew
     */
    record: (xrayStart: string, counters: ReadonlyMap<string, number>): boolean =>
      db
        .transaction(() => {
          const before = new Map(
            (readings.all(xrayStart) as { name: string; value: number }[]).map(({ name, value }) => [
              name,
              value,
            ]),
          )
          let kept = 0
          const deltas = new Map<string, { kind: string; subject: string | number; delta: Delta }>()
          for (const [counter, value] of counters) {
            const last = before.get(counter) ?? 0
            if (value <= last) continue
            const [, kind, name, direction] = counterName.exec(counter) ?? []
            if (kind === undefined || name === undefined) continue
            const inbound = kind === 'inbound' ? inboundOf(name) : undefined
            // The API's own inbound moves with every reading.
            if (kind === 'inbound' && inbound === undefined) continue
            if (before.size === 0 && kept++ === 0) forgetOthers.run(xrayStart)
            keep.run(counter, xrayStart, value)
            if (inbound !== undefined && countsUsers(inbound.protocol)) continue
            const id = `${kind}>${name}`
            const subject = inbound?.id ?? name
            const entry = deltas.get(id) ?? { kind, subject, delta: { up: 0, down: 0 } }
            deltas.set(id, entry)
            entry.delta[direction === 'uplink' ? 'up' : 'down'] += value - last
          }
          if (deltas.size === 0) return false
          const seq = position.nextTraffic()
          for (const { kind, subject, delta } of deltas.values()) {
            if (kind === 'user') addUserTraffic(String(subject), delta, seq)
            else if (kind === 'inbound') {
              addToInbound.run({ key: subject, ...delta, seq })
              ofDay('inbound', subject, delta)
            } else {
              addToOutbound.run({ key: subject, ...delta, seq })
              ofDay('outbound', subject, delta)
            }
          }
          return true
        })
        .immediate(),
  }
}
