import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'

type Kind = 'inbound' | 'client'

interface Tombstone {
  kind: Kind
  id: number
  changeSeq: number
}

/** What was deleted on this node, for mirrors that were away. */
export function createTombstones(db: Sqlite) {
  const bury = db.prepare(
    `insert into tombstones (server_id, kind, id, change_seq) values (${LOCAL_SERVER_ID}, ?, ?, ?)
     on conflict (server_id, kind, id) do update set change_seq = excluded.change_seq`,
  )
  const unbury = db.prepare(
    `delete from tombstones where server_id = ${LOCAL_SERVER_ID} and kind = ? and id = ?`,
  )
  const since = db.prepare(
    `select kind, id, change_seq as changeSeq from tombstones where server_id = ${LOCAL_SERVER_ID} and change_seq > ?`,
  )
  return {
    /** What was deleted after a change; -1: all that ever was. */
    since: (changeSeq: number) => since.all(changeSeq) as Tombstone[],
    /** The row is gone, as of this change. */
    bury: (kind: Kind, id: number, changeSeq: number): void => void bury.run(kind, id, changeSeq),
    /** The row is there, again or after all. */
    unbury: (kind: Kind, id: number): void => void unbury.run(kind, id),
  }
}
