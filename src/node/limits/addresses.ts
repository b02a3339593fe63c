/** From where clients come: how many addresses that is, and a record of them. */
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { DAY_MS } from '#src/runtime.ts'
import { emailKey } from '../rows/rows.ts'

/** Who is connected, by name, and from where, as Xray tells it; null: it was not asked. */
export type Online = readonly { email: string; ips: readonly { ip: string }[] | null }[]

/** Xray writes IPv6 addresses in brackets. */
export function plainAddress(ip: string): string {
  return ip.replace(/^\[(.*)\]$/, '$1')
}

/**
 * How many places these addresses are. A household with IPv6 has a network of its own (a /64), in which every device
 * has many addresses and changes them daily; it counts as one, as the same household does behind its one IPv4 address.
 */
export function countPlaces(ips: readonly string[]): number {
  return new Set(ips.map(placeOf)).size
}

function placeOf(ip: string): string {
  const address = plainAddress(ip)
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  // "::" stands for as many zeros as are missing.
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length
  return [...front, ...Array<string>(Math.max(0, zeros)).fill('0'), ...back].slice(0, 4).join(':')
}

const KEEP_MS = 30 * DAY_MS
/** More than a person ever comes from in a month; a client that is shared in a crowd must not fill the disk. */
const MOST_PER_CLIENT = 1_000
const PRUNE_EVERY_MS = 60 * 60 * 1000

const S = LOCAL_SERVER_ID

/** Keeps when each client was first and last seen at each address. */
export function createAddressBook(db: Sqlite) {
  const idOf = db.prepare(`select id from clients where server_id = ${S} and email_key = ?`).pluck()
  const note = db
    .prepare(
      `insert into inbound_client_ips (server_id, client_id, address, first_seen_at, last_seen_at)
       values (${S}, @id, @address, @now, @now)
       on conflict (server_id, client_id, address) do update set last_seen_at = excluded.last_seen_at
       returning first_seen_at`,
    )
    .pluck()
  const dropSurplus = db.prepare(
    `delete from inbound_client_ips where server_id = ${S} and client_id = @id and address not in (
       select address from inbound_client_ips where server_id = ${S} and client_id = @id
       order by last_seen_at desc, first_seen_at desc limit ${MOST_PER_CLIENT})`,
  )
  const dropOld = db.prepare(`delete from inbound_client_ips where server_id = ${S} and last_seen_at < ?`)
  let prunedAt = -Infinity

  return {
    /** Notes who is connected now. */
    note: db.transaction((online: Online, now: number): void => {
      for (const { email, ips } of online) {
        if (ips === null) continue
        const id = idOf.get(emailKey(email)) as number | undefined
        if (id === undefined) continue
        let isNew = false
        for (const { ip } of ips) isNew = note.get({ id, address: plainAddress(ip), now }) === now || isNew
        if (isNew) dropSurplus.run({ id })
      }
      if (Math.abs(now - prunedAt) < PRUNE_EVERY_MS) return
      prunedAt = now
      dropOld.run(now - KEEP_MS)
    }),
  }
}
