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
 *
 * Every start takes a new epoch, so that every mirror begins afresh: while we were down an older copy of the database
 * may have been put back. It would carry the epoch it always had, and once it has made as many changes as were lost,
 * nothing in its position would tell it from the one that is gone.
 * @param newEpoch a name never used before
 * @param moved told of every step, inside its transaction
 */
export function createPosition(db: Sqlite, newEpoch: () => string, moved: () => void = () => undefined) {
  db.prepare(
    `insert into sync_states (server_id, epoch, change_seq, traffic_seq, next_id) values (${LOCAL_SERVER_ID}, ?, 0, 0, 1)
     on conflict (server_id) do nothing`,
  ).run(newEpoch())
  const begin = db.prepare(`update sync_states set epoch = ? where server_id = ${LOCAL_SERVER_ID}`)
  const raise = db.prepare(
    `update sync_states set change_seq = max(change_seq, @changeSeq), traffic_seq = max(traffic_seq, @trafficSeq),
       next_id = max(next_id, @nextId) where server_id = ${LOCAL_SERVER_ID}`,
  )
  const read = db.prepare(
    `select epoch, change_seq as changeSeq, traffic_seq as trafficSeq from sync_states where server_id = ${LOCAL_SERVER_ID}`,
  )
  const step = (column: string) =>
    db
      .prepare(
        `update sync_states set ${column} = ${column} + ? where server_id = ${LOCAL_SERVER_ID} returning ${column}`,
      )
      .pluck()
  const move = (counter: { get(by: number): unknown }): number => {
    moved()
    return counter.get(1) as number
  }
  const change = step('change_seq')
  const traffic = step('traffic_seq')
  const id = step('next_id')

  return {
    /** A start of this node. Not before it is certain: a second one that finds its address taken touches nothing. */
    begin: (): void => {
      begin.run(newEpoch())
    },
    /** Goes on behind this position too: what a copy of this database has counted and given away since. */
    raise: (to: { changeSeq: number; trafficSeq: number; nextId: number }): void => void raise.run(to),
    read: () => read.get() as Position,
    nextChange: () => move(change),
    nextTraffic: () => move(traffic),
    /** Ids of this node, never used before and never again. */
    nextId: () => (id.get(1) as number) - 1,
  }
}
