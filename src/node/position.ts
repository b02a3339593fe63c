import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'

export interface Position {
  epoch: string
  changeSeq: number
  trafficSeq: number
}

export type PositionStore = ReturnType<typeof createPosition>

/**
 * Where this node's change log stands, and the source of its ids. All steps are taken inside the transaction of
 * the change they belong to.
 * @param newEpoch names the life of this database; taken only when it has none yet
 */
export function createPosition(db: Sqlite, newEpoch: () => string) {
  db.prepare(
    `insert into sync_states (server_id, epoch, change_seq, traffic_seq, next_id) values (${LOCAL_SERVER_ID}, ?, 0, 0, 1)
     on conflict do nothing`,
  ).run(newEpoch())
  const read = db.prepare(
    `select epoch, change_seq as changeSeq, traffic_seq as trafficSeq from sync_states where server_id = ${LOCAL_SERVER_ID}`,
  )
  const step = (column: string) =>
    db
      .prepare(
        `update sync_states set ${column} = ${column} + ? where server_id = ${LOCAL_SERVER_ID} returning ${column}`,
      )
      .pluck()
  const change = step('change_seq')
  const traffic = step('traffic_seq')
  const id = step('next_id')

  return {
    read: () => read.get() as Position,
    nextChange: () => change.get(1) as number,
    nextTraffic: () => traffic.get(1) as number,
    /** Ids of this node, never used before and never again. */
    nextId: () => (id.get(1) as number) - 1,
  }
}
