import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'

const S = LOCAL_SERVER_ID

/** A client as far as Xray knows of it, its credentials still sealed: to open them takes longer than to read the row. */
export interface SealedClient {
  email: string
  credentials: string
  flow: string
  enabled: number
  blocked: string | null
}

export type Placements = ReturnType<typeof createPlacements>

/** Who stands where, without anything being opened: for changes of thousands of clients at once. */
export function createPlacements(db: Sqlite) {
  const clientsIn = db
    .prepare(
      `select client_id from client_inbounds where server_id = ${S} and inbound_id = ? order by client_id`,
    )
    .pluck()
  const inboundsOf = db
    .prepare(`select inbound_id from client_inbounds where server_id = ${S} and client_id = ?`)
    .pluck()
  const client = db.prepare(
    `select email, credentials, flow, enabled, blocked from clients where server_id = ${S} and id = ?`,
  )
  const changed = db.prepare(
    `update clients set row_version = row_version + 1, change_seq = @changeSeq, updated_at = @now
     where server_id = ${S}
       and id in (select client_id from client_inbounds where server_id = ${S} and inbound_id = @inboundId)`,
  )

  return {
    clientsIn: (inboundId: number) => clientsIn.all(inboundId) as number[],
    inboundsOf: (clientId: number) => inboundsOf.all(clientId) as number[],
    client: (clientId: number) => client.get(clientId) as SealedClient | undefined,
    /** All clients of an inbound are changed, since their placement is about to go with it. */
    markChanged(inboundId: number, changeSeq: number, now: number): void {
      changed.run({ inboundId, changeSeq, now })
    },
  }
}
