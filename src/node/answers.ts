import type { Client, Inbound } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { shareLink } from '#src/xray/links.ts'
import type { ClientRecord, InboundRecord, Rows } from './rows.ts'
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

  function inbound({ privateKey: _, changeSeq: __, ...row }: InboundRecord): Inbound {
    const { up, down } = (inboundTraffic.get(row.id) as Lifetime | undefined) ?? nothing
    return { ...row, up, down, clientCount: rows.clientCount(row.id) }
  }

  function client({ changeSeq: _, ...row }: ClientRecord): Client {
    const {
      up,
      down,
      resetUp = 0,
      resetDown = 0,
    } = (clientTraffic.get(row.id) as Lifetime | undefined) ?? nothing
    const links = row.inbounds.flatMap((id) => {
      const stands = rows.inbound(id)
      return stands === undefined ? [] : [shareLink({ inbound: stands, client: row, host })]
    })
    return { ...row, links, up: up - resetUp, down: down - resetDown }
  }

  const clientsOf = (before: Snapshot): Client[] =>
    before.scope.clients.flatMap((id) => {
      const row = rows.client(id)
      return row === undefined ? [] : [client(row)]
    })

  const inboundOf = (before: Snapshot): Inbound | undefined => {
    const row = rows.inbound(before.scope.inbounds[0] ?? 0)
    return row === undefined ? undefined : inbound(row)
  }

  /** How each kind of change is answered, from its rows before and now. */
  const byOperation: Record<string, (before: Snapshot) => unknown> = {
    'inbounds.add': inboundOf,
    'inbounds.update': inboundOf,
    'inbounds.delete': (before) => ({ id: before.inbounds[0]?.['id'], tag: before.inbounds[0]?.['tag'] }),
    'clients.add': clientsOf,
    'clients.update': (before) => clientsOf(before)[0],
    'clients.resetTraffic': (before) => clientsOf(before)[0],
    'clients.delete': (before) => ({ email: before.clients[0]?.['email'] }),
  }

  return {
    inbound,
    client,
    after(operation: string, before: Snapshot): unknown {
      const answer = byOperation[operation]
      if (answer === undefined) throw new TypeError(`${operation} has no answer`)
      return answer(before)
    },
  }
}
