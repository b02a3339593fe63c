/**
 * Traffic, counted once. Xray's own counters start at zero with every start of Xray and are never reset by us:
 * what is new is the difference to the last reading of the same start, and it is added to lifetime counters in the
 * transaction that keeps the reading. So a kill between two readings neither loses nor doubles a byte; only a crash
 * of Xray itself takes what it counted since the last reading with it.
 */
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
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
const counterName = /^(user|outbound)>>>(.*)>>>traffic>>>(uplink|downlink)$/s

/** As many days as can be asked for. */
const KEEP_DAYS = 400

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

  // By position: these are run for every client that moves something, and names cost as much again.
  const addToClient = db.prepare(
    `insert into client_traffics (client_id, up, down, traffic_seq, last_active_at, server_id) values (?, ?, ?, ?, ?, ${S})
     on conflict (server_id, client_id) do update set up = up + excluded.up, down = down + excluded.down,
       traffic_seq = excluded.traffic_seq, last_active_at = excluded.last_active_at`,
  )
  const addToInbound = db.prepare(
    `insert into inbound_traffics (inbound_id, up, down, traffic_seq, server_id) values (?, ?, ?, ?, ${S})
     on conflict (server_id, inbound_id) do update set up = up + excluded.up, down = down + excluded.down,
       traffic_seq = excluded.traffic_seq`,
  )
  const addToOutbound = db.prepare(
    `insert into outbound_traffics (tag, up, down, traffic_seq, server_id) values (?, ?, ?, ?, ${S})
     on conflict (server_id, tag) do update set up = up + excluded.up, down = down + excluded.down,
       traffic_seq = excluded.traffic_seq`,
  )
  const addToDay = db.prepare(
    `insert into traffic_days (kind, subject, day, up, down, server_id) values (?, ?, ?, ?, ?, ${S})
     on conflict (server_id, kind, subject, day) do update set up = up + excluded.up, down = down + excluded.down`,
  )
  const dropDays = db.prepare(`delete from traffic_days where server_id = ${S} and day < ?`)
  let droppedOn: number | null = null

  /** What was read last, of the start of Xray it was read from: as in the file, which 20,000 rows are too many to ask. */
  let last: { xrayStart: string; values: Map<string, number> } | null = null

  function lastOf(xrayStart: string): Map<string, number> {
    if (last?.xrayStart !== xrayStart) {
      const rows = readings.all(xrayStart) as { name: string; value: number }[]
      last = { xrayStart, values: new Map(rows.map(({ name, value }) => [name, value])) }
    }
    return last.values
  }

  /** The counters that are other than they were. */
  function changedSince(
    before: ReadonlyMap<string, number>,
    counters: ReadonlyMap<string, number>,
  ): Change[] {
    const changes: Change[] = []
    for (const [counter, value] of counters) {
      const known = before.get(counter) ?? 0
      if (value === known) continue
      const [, kind, name, direction] = counterName.exec(counter) ?? []
      if (kind === undefined || name === undefined) continue
      // Readings come one after the other, so a smaller one means that somebody has set it to zero by hand.
      const moved = value > known ? value - known : value
      const delta = direction === 'uplink' ? { up: moved, down: 0 } : { up: 0, down: moved }
      changes.push({ counter, value, kind, name, delta })
    }
    return changes
  }

  const commit = db.transaction((xrayStart: string, changes: readonly Change[], isFirst: boolean): void => {
    const time = now()
    const day = Math.floor(time / DAY_MS)
    const seq = position.nextTraffic()

    if (isFirst) forgetOthers.run(xrayStart)
    for (const { counter, value } of changes) keep.run(counter, xrayStart, value)

    const inbounds = new Map<number, Delta>()
    for (const [name, delta] of summed(changes, 'user')) {
      const parts = parseXrayName(name)
      if (parts === null) continue
      // What a person moved belongs to the client and to the inbound; one of them that is gone takes nothing.
      const client = clientId.get(emailKey(parts.email)) as number | undefined
      if (client !== undefined) {
        addToClient.run(client, delta.up, delta.down, seq, time)
        addToDay.run('client', String(client), day, delta.up, delta.down)
      }
      add(inbounds, parts.inboundId, delta)
    }
    for (const [id, delta] of inbounds) {
      if (isInbound.get(id) === undefined) continue
      addToInbound.run(id, delta.up, delta.down, seq)
      addToDay.run('inbound', String(id), day, delta.up, delta.down)
    }
    for (const [tag, delta] of summed(changes, 'outbound')) {
      addToOutbound.run(tag, delta.up, delta.down, seq)
      addToDay.run('outbound', tag, day, delta.up, delta.down)
    }
    if (droppedOn !== day) dropDays.run(day - KEEP_DAYS)
    droppedOn = day
  })

  return {
    /**
     * Adds what is new in a reading of all counters to the lifetime counters. Readings must come in the order they were
     * taken.
     * @param xrayStart names the start of Xray the reading was taken from
     * @returns whether anything grew
     */
    record(xrayStart: string, counters: ReadonlyMap<string, number>): boolean {
      const before = lastOf(xrayStart)
      const changes = changedSince(before, counters)
      if (changes.length === 0) return false
      commit.immediate(xrayStart, changes, before.size === 0)
      for (const { counter, value } of changes) before.set(counter, value)
      return changes.some(({ delta }) => delta.up + delta.down > 0)
    },
  }
}

interface Change {
  counter: string
  value: number
  kind: string
  name: string
  delta: Delta
}

/** What each of a kind has moved, both ways together. */
function summed(changes: readonly Change[], kind: 'user' | 'outbound'): Map<string, Delta> {
  const sums = new Map<string, Delta>()
  for (const change of changes) if (change.kind === kind) add(sums, change.name, change.delta)
  return sums
}

function add<K>(sums: Map<K, Delta>, key: K, { up, down }: Delta): void {
  const sum = sums.get(key)
  if (sum === undefined) sums.set(key, { up, down })
  else {
    sum.up += up
    sum.down += down
  }
}
