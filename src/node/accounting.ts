/**
 * Traffic, counted once. Xray's own counters start at zero with every start of Xray and are never reset by us:
 * what is new is the difference to the last reading of the same start, and it is added to lifetime counters in the
 * transaction that keeps the reading. So a kill between two readings neither loses nor doubles a byte; only a crash
 * of Xray itself takes what it counted since the last reading with it.
 */
import { prepareInsertMany, type Row } from '#src/store/insert-many.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { PositionStore } from './position.ts'
import { emailKey } from './rows.ts'
import { parseXrayName } from './xray-name.ts'

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

export type Accounting = ReturnType<typeof createAccounting>

export function createAccounting({ db, position, now }: AccountingDeps) {
  // In the order of its names, as the table itself is.
  const readings = db.prepare('select name, value from xray_counters where xray_start = ?').raw()
  const forgetOthers = db.prepare('delete from xray_counters where xray_start <> ?')
  const keep = prepareInsertMany(db, {
    table: 'xray_counters',
    columns: ['name', 'xray_start', 'value'],
    onConflict: 'on conflict (name) do update set xray_start = excluded.xray_start, value = excluded.value',
  })
  const clientId = db.prepare(`select id from clients where server_id = ${S} and email_key = ?`).pluck()
  const isInbound = db.prepare(`select 1 from inbounds where server_id = ${S} and id = ?`).pluck()

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

  /** What people moved belongs to the clients and to their inbounds; one of them that is gone takes nothing. */
  function addUserTraffic(users: ReadonlyMap<string, Delta>, seq: number): void {
    const at = now()
    const clients: Row[] = []
    const inbounds = new Map<number, Delta>()
    for (const [name, delta] of users) {
      const parts = parseXrayName(name)
      if (parts === null) continue
      const client = clientId.get(emailKey(parts.email)) as number | undefined
      if (client !== undefined) clients.push([S, client, delta.up, delta.down, seq, at])
      const { up, down } = deltaOf(inbounds, parts.inboundId)
      inbounds.set(parts.inboundId, { up: up + delta.up, down: down + delta.down })
    }
    addToClients(clients)
    const present = [...inbounds].filter(([id]) => isInbound.get(id) !== undefined)
    addToInbounds(present.map(([id, { up, down }]) => [S, id, up, down, seq]))
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
          const before = new Map(readings.all(xrayStart) as [string, number][])
          const readNow: Row[] = []
          const deltas = { user: new Map<string, Delta>(), outbound: new Map<string, Delta>() }
          const add = (counter: string, last: number, value: number): void => {
            if (value <= last) return
            const [, kind, name, direction] = counterName.exec(counter) ?? []
            if (kind === undefined || name === undefined) return
            readNow.push([counter, xrayStart, value])
            const owners = kind === 'user' ? deltas.user : deltas.outbound
            const { up, down } = deltaOf(owners, name)
            const more = value - last
            owners.set(name, direction === 'uplink' ? { up: up + more, down } : { up, down: down + more })
          }
          // Xray names them in no order. Written in that of the table they take half as long.
          let known = 0
          for (const [counter, last] of before) {
            const value = counters.get(counter)
            if (value === undefined) continue
            known++
            add(counter, last, value)
          }
          if (known < counters.size) {
            for (const [counter, value] of counters) if (!before.has(counter)) add(counter, 0, value)
          }
          if (readNow.length === 0) return false
          keep(readNow)
          if (before.size === 0) forgetOthers.run(xrayStart)
          const seq = position.nextTraffic()
          addUserTraffic(deltas.user, seq)
          addToOutbounds([...deltas.outbound].map(([tag, { up, down }]) => [S, tag, up, down, seq]))
          return true
        })
        .immediate(),
  }
}

const nothing: Delta = { up: 0, down: 0 }

function deltaOf<Key>(deltas: ReadonlyMap<Key, Delta>, key: Key): Delta {
  return deltas.get(key) ?? nothing
}
