import type { Client, Inbound } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { shareLink } from '#src/xray/config/links.ts'
import type { ClientRecord, InboundSettings } from '../rows/records.ts'
import type { Rows } from '../rows/rows.ts'
import type { RowsView } from '../rows/rows-view.ts'
import type { Snapshot } from '../rows/snapshot.ts'

interface Lifetime {
  up: number
  down: number
  resetUp?: number
  resetDown?: number
  lastActiveAt?: number | null
}

const S = LOCAL_SERVER_ID
const nothing: Lifetime = { up: 0, down: 0 }

export type Answers = ReturnType<typeof createAnswers>

/**
 * Rows in the shape of the contract.
 * @param host stands in share links: this server's public address
 */
export function createAnswers(db: Sqlite, rows: Rows, host: string) {
  const clientTraffic = db.prepare(
    `select up, down, reset_up as resetUp, reset_down as resetDown, last_active_at as lastActiveAt
     from client_traffics
     where server_id = ${S} and client_id = ?`,
  )
  const inboundTraffic = db.prepare(
    `select up, down, reset_up as resetUp, reset_down as resetDown from inbound_traffics where server_id = ${S} and inbound_id = ?`,
  )

  // The type keeps an inbound with its keys opened out of here: all that is in the row goes into the answer.
  function inbound(record: InboundSettings & { secrets?: never }): Inbound {
    const { changeSeq: _, linkSecrets: __, secrets: ___, ...row } = record
    const {
      up,
      down,
      resetUp = 0,
      resetDown = 0,
    } = (inboundTraffic.get(row.id) as Lifetime | undefined) ?? nothing
    const used = up + down - resetUp - resetDown
    return { ...row, up, down, used, clientCount: rows.clientCount(row.id) } as Inbound
  }

  function client(record: ClientRecord, now: RowsView): Client {
    const { changeSeq: _, ...row } = record
    const {
      up,
      down,
      resetUp = 0,
      resetDown = 0,
      lastActiveAt = null,
    } = (clientTraffic.get(row.id) as Lifetime | undefined) ?? nothing
    const links = row.inbounds.flatMap((id) => {
      const stands = now.inbound(id)
      // In the same order as the inbounds; those without a link have none to anybody.
      const link = stands === undefined ? null : shareLink({ inbound: stands, client: row, host })
      return link === null ? [] : [link]
    })
    return { ...row, links, up: up - resetUp, down: down - resetDown, lastActiveAt }
  }

  const clientsOf = (before: Snapshot, now: RowsView): Client[] =>
    before.scope.clients.flatMap((id) => {
      const row = now.client(id)
      return row === undefined ? [] : [client(row, now)]
    })

  const inboundAfter = (before: Snapshot, now: RowsView): Inbound | undefined => {
    const row = now.inbound(before.scope.inbounds[0] ?? 0)
    return row === undefined ? undefined : inbound(row)
  }

  /** How each kind of change is answered, from its rows before and now. */
  const byOperation: Record<string, (before: Snapshot, now: RowsView) => unknown> = {
    'inbounds.add': inboundAfter,
    'inbounds.update': inboundAfter,
    'inbounds.resetTraffic': inboundAfter,
    'inbounds.delete': (before) => ({ id: before.inbounds[0]?.['id'], tag: before.inbounds[0]?.['tag'] }),
    'clients.add': clientsOf,
    'clients.update': (before, now) => clientsOf(before, now)[0],
    'clients.resetTraffic': (before, now) => clientsOf(before, now)[0],
    'clients.deleteMany': (before) => ({ emails: before.clients.map((row) => row['email']) }),
    // Asked by nobody but the node itself.
    'limits.enforce': () => null,
    'clients.delete': (before) => ({ email: before.clients[0]?.['email'] }),
  }

  return {
    inbound,
    after(operation: string, before: Snapshot, now: RowsView): unknown {
      const answer = byOperation[operation]
      if (answer === undefined) throw new TypeError(`${operation} has no answer`)
      return answer(before, now)
    },
  }
}
