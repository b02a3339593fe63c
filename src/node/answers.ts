import type { Client, Inbound } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { shareLink } from '#src/xray/links.ts'
import type { ClientRecord, InboundSettings, Rows } from './rows.ts'
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
  function inbound({ changeSeq: _, ...row }: InboundSettings & { privateKey?: never }): Inbound {
    const { up, down } = (inboundTraffic.get(row.id) as Lifetime | undefined) ?? nothing
    return { ...row, up, down, clientCount: rows.clientCount(row.id) }
  }

  /** @param inboundOf reads an inbound a client stands in; one that remembers serves many clients */
  function client(
    { changeSeq: _, ...row }: ClientRecord,
    inboundOf: (id: number) => InboundSettings | undefined,
  ): Client {
    const {
      up,
      down,
      resetUp = 0,
      resetDown = 0,
    } = (clientTraffic.get(row.id) as Lifetime | undefined) ?? nothing
    const links = row.inbounds.flatMap((id) => {
      const stands = inboundOf(id)
      return stands === undefined ? [] : [shareLink({ inbound: stands, client: row, host })]
    })
    return { ...row, links, up: up - resetUp, down: down - resetDown }
  }

  function clientsOf(before: Snapshot): Client[] {
    // A thousand clients may come in one call, and most stand in the same inbound.
    const read = new Map<number, InboundSettings | undefined>()
    const inboundOf = (id: number): InboundSettings | undefined => {
      if (!read.has(id)) read.set(id, rows.inboundSettings(id))
      return read.get(id)
    }
    return before.scope.clients.flatMap((id) => {
      const row = rows.client(id)
      return row === undefined ? [] : [client(row, inboundOf)]
    })
  }

  const inboundAfter = (before: Snapshot): Inbound | undefined => {
    const row = rows.inboundSettings(before.scope.inbounds[0] ?? 0)
    return row === undefined ? undefined : inbound(row)
  }

  /** How each kind of change is answered, from its rows before and now. */
  const byOperation: Record<string, (before: Snapshot) => unknown> = {
    'inbounds.add': inboundAfter,
    'inbounds.update': inboundAfter,
    'inbounds.delete': (before) => ({ id: before.inbounds[0]?.['id'], tag: before.inbounds[0]?.['tag'] }),
    'clients.add': clientsOf,
    'clients.update': (before) => clientsOf(before)[0],
    'clients.resetTraffic': (before) => clientsOf(before)[0],
    'clients.delete': (before) => ({ email: before.clients[0]?.['email'] }),
  }

  return {
    inbound,
    after(operation: string, before: Snapshot): unknown {
      const answer = byOperation[operation]
      if (answer === undefined) throw new TypeError(`${operation} has no answer`)
      return answer(before)
    },
  }
}
