/**
 * Traffic, counted once. Xray's own counters start at zero with every start of Xray and are never reset by us:
 * what is new is the difference to the last reading of the same start, and it is added to lifetime counters in the
 * transaction that keeps the reading. So a kill between two readings neither loses nor doubles a byte; only a crash
 * of Xray itself takes what it counted since the last reading with it.
 */
import type { Protocol } from '#src/contract/index.ts'
import { prepareInsertMany, type Row } from '#src/store/insert-many.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { countsUsers } from '#src/xray/config/account.ts'
import type { PositionStore } from './rows/position.ts'
import { emailKey } from './rows/rows.ts'
import { parseXrayName } from '#src/xray/config/user-name.ts'
import { DAY_MS } from '#src/runtime.ts'

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

/** As many days as can be asked for. */
const KEEP_DAYS = 400

export type Accounting = ReturnType<typeof createAccounting>

export function createAccounting({ db, position, now }: AccountingDeps) {
  const readings = db.prepare('select name, value from xray_counters where xray_start = ?')
  const forgetOthers = db.prepare('delete from xray_counters where xray_start <> ?')
  const keep = prepareInsertMany(db, {
    table: 'xray_counters',
    columns: ['name', 'xray_start', 'value'],
    onConflict: 'on conflict (name) do update set xray_start = excluded.xray_start, value = excluded.value',
  })
  const clientId = db.prepare(`select id from clients where server_id = ${S} and email_key = ?`).pluck()
  const isInbound = db.prepare(`select 1 from inbounds where server_id = ${S} and id = ?`).pluck()

  const inboundByTag = db.prepare(`select id, protocol from inbounds where server_id = ${S} and tag = ?`)

  const grow = (table: string, key: string, more: readonly string[] = []) =>
    prepareInsertMany(db, {
      table,
      columns: ['server_id', key, 'up', 'down', 'traffic_seq', ...more],
      onConflict: `on conflict (server_id, ${key}) do update set up = up + excluded.up, down = down + excluded.down,
        ${['traffic_seq', ...more].map((column) => `${column} = excluded.${column}`).join()}`,
    })
  const addToClients = grow('client_traffics', 'client_id', ['last_active_at'])
  const addToInbounds = grow('inbound_traffics', 'inbound_id')
  const addToOutbounds = grow('outbound_traffics', 'tag')
  const addToDays = prepareInsertMany(db, {
    table: 'traffic_days',
    columns: ['server_id', 'kind', 'subject', 'day', 'up', 'down'],
    onConflict:
      'on conflict (server_id, kind, subject, day) do update set up = up + excluded.up, down = down + excluded.down',
  })
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

  /** What a counter has moved; null where it is none of ours. */
  function changeOf(counter: string, known: number, value: number): Change | null {
    const [, kind, name, direction] = counterName.exec(counter) ?? []
    if (kind === undefined || name === undefined) return null
    const inbound = kind === 'inbound' ? (inboundByTag.get(name) as InboundOfTag | undefined) : undefined
    // The API's own inbound moves with every reading.
    if (kind === 'inbound' && inbound === undefined) return null
    // Readings come one after the other, so a smaller one means that somebody has set it to zero by hand.
    const moved = value > known ? value - known : value
    // Xray's own count of an inbound is of the same bytes as those of its users, where it counts these.
    const counts = inbound === undefined || !countsUsers(inbound.protocol)
    const bytes = counts ? moved : 0
    const delta = direction === 'uplink' ? { up: bytes, down: 0 } : { up: 0, down: bytes }
    return { counter, value, kind, owner: inbound?.id ?? name, counts, delta }
  }

  /**
   * The counters that are other than they were. Xray names them in no order; those that are known come in that of their
   * table, which halves what writing them takes.
   */
  function changedSince(
    before: ReadonlyMap<string, number>,
    counters: ReadonlyMap<string, number>,
  ): Change[] {
    const changes: Change[] = []
    const look = (counter: string, known: number, value: number): void => {
      const change = value === known ? null : changeOf(counter, known, value)
      if (change !== null) changes.push(change)
    }
    for (const [counter, known] of before) look(counter, known, counters.get(counter) ?? known)
    for (const [counter, value] of counters) if (!before.has(counter)) look(counter, 0, value)
    return changes
  }

  const commit = db.transaction((xrayStart: string, changes: readonly Change[], isFirst: boolean): void => {
    const time = now()
    const day = Math.floor(time / DAY_MS)

    if (isFirst) forgetOthers.run(xrayStart)
    keep(changes.map(({ counter, value }) => [counter, xrayStart, value]))
    if (changes.every(({ counts }) => !counts)) return
    const seq = position.nextTraffic()

    const clients: Row[] = []
    const days: Row[] = []
    const inbounds = summed<number>(changes, 'inbound')
    for (const [name, delta] of summed<string>(changes, 'user')) {
      const parts = parseXrayName(name)
      if (parts === null) continue
      // What a person moved belongs to the client and to the inbound; one of them that is gone takes nothing.
      const client = clientId.get(emailKey(parts.email)) as number | undefined
      if (client !== undefined) {
        clients.push([S, client, delta.up, delta.down, seq, time])
        days.push([S, 'client', String(client), day, delta.up, delta.down])
      }
      add(inbounds, parts.inboundId, delta)
    }
    addToClients(clients)
    const present = [...inbounds].filter(([id]) => isInbound.get(id) !== undefined)
    addToInbounds(present.map(([id, { up, down }]) => [S, id, up, down, seq]))
    const outbounds = [...summed<string>(changes, 'outbound')]
    addToOutbounds(outbounds.map(([tag, { up, down }]) => [S, tag, up, down, seq]))
    addToDays([
      ...days,
      ...present.map(([id, { up, down }]): Row => [S, 'inbound', String(id), day, up, down]),
      ...outbounds.map(([tag, { up, down }]): Row => [S, 'outbound', tag, day, up, down]),
    ])
    if (droppedOn !== day) dropDays.run(day - KEEP_DAYS)
    droppedOn = day
  })

  let isBehind = false

  return {
    /** Whether the last reading could not be put on record, as on a full disk. */
    isBehind: (): boolean => isBehind,

    /** What clients have moved since what is on record, both ways together, by their keys. Puts nothing on record. */
    unread(xrayStart: string, counters: ReadonlyMap<string, number>): Map<string, number> {
      const moved = new Map<string, number>()
      for (const [name, { up, down }] of summed<string>(changedSince(lastOf(xrayStart), counters), 'user')) {
        const key = emailKey(parseXrayName(name)?.email ?? '')
        moved.set(key, (moved.get(key) ?? 0) + up + down)
      }
      return moved
    },

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
      isBehind = true
      commit.immediate(xrayStart, changes, before.size === 0)
      isBehind = false
      for (const { counter, value } of changes) before.set(counter, value)
      return changes.some(({ delta: { up, down } }) => up + down > 0)
    },
  }
}

interface InboundOfTag {
  id: number
  protocol: Protocol
}

interface Change {
  counter: string
  value: number
  kind: string
  /** The name of a user, the id of an inbound, the tag of an outbound. */
  owner: string | number
  /** Whether it is of bytes that no other counter has too. */
  counts: boolean
  delta: Delta
}

/** What each of a kind has moved, both ways together. */
function summed<Owner extends string | number>(
  changes: readonly Change[],
  kind: 'user' | 'inbound' | 'outbound',
): Map<Owner, Delta> {
  const sums = new Map<Owner, Delta>()
  for (const { kind: of, counts, owner, delta } of changes)
    if (of === kind && counts) add(sums, owner as Owner, delta)
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
