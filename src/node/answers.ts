import type { Client, Inbound } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { shareLink } from '#src/xray/links.ts'
import type { ClientRecord, InboundSettings, Rows } from './rows.ts'
import type { RowsView } from './rows-view.ts'
import type { Snapshot } from './snapshot.ts'

interface Lifetime {
  up: number
  down: number
  resetUp?: number
  resetDown?: number
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
    `select up, down, reset_up as resetUp, reset_down as resetDown from client_traffics
     where server_id = ${S} and client_id = ?`,
  )
  const inboundTraffic = db.prepare(
    `select up, down from inbound_traffics where server_id = ${S} and inbound_id = ?`,
  )

  // The type keeps an inbound with its key opened out of here: all that is in the row goes into the answer.
  function inbound(record: InboundSettings & { privateKey?: never }): Inbound {
    const { changeSeq: _, ...row } = record
    const { up, down } = (inboundTraffic.get(row.id) as Lifetime | undefined) ?? nothing
    return { ...row, up, down, clientCount: rows.clientCount(row.id) }
  }

  function client(record: ClientRecord, now: RowsView): Client {
    const { changeSeq: _, ...row } = record
    const {
      up,
      down,
      resetUp = 0,
      resetDown = 0,
    } = (clientTraffic.get(row.id) as Lifetime | undefined) ?? nothing
    const links = row.inbounds.flatMap((id) => {
      const stands = now.inbound(id)
      return stands === undefined ? [] : [shareLink({ inbound: stands, client: row, host })]
    })
    return { ...row, links, up: up - resetUp, down: down - resetDown }
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
    'inbounds.delete': (before) => ({ id: before.inbounds[0]?.['id'], tag: before.inbounds[0]?.['tag'] }),
    'clients.add': clientsOf,
    'clients.update': (before, now) => clientsOf(before, now)[0],
    'clients.resetTraffic': (before, now) => clientsOf(before, now)[0],
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
