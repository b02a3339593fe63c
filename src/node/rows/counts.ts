import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'

/** Where the bytes of clients stand, and those of inbounds. */
const tables = {
  client: { table: 'client_traffics', key: 'client_id' },
  inbound: { table: 'inbound_traffics', key: 'inbound_id' },
} as const

/** What was counted since the last reset, and what begins anew with a change. */
export interface Counts {
  /** Bytes, both ways together; 0 of what has never moved any. */
  used(id: number): number
  /** From now on it is counted from zero; lifetime bytes stay. Inside the transaction of a change. */
  reset(id: number, trafficSeq: number): void
}

/**
 * What clients have moved is no use of days that are given now. By bytes, not by time: a clock that was ahead as they
 * were given would let them never begin. Inside the transaction of a change.
 */
export function createFirstUse(db: Sqlite): (clientId: number) => void {
  const mark = db.prepare(
    `update client_traffics set unused_until = up + down where server_id = ${LOCAL_SERVER_ID} and client_id = ?`,
  )
  return (clientId) => void mark.run(clientId)
}

export function createCounts(db: Sqlite, of: keyof typeof tables): Counts {
  const { table, key } = tables[of]
  const used = db
    .prepare(
      `select up + down - reset_up - reset_down from ${table}
       where server_id = ${LOCAL_SERVER_ID} and ${key} = ?`,
    )
    .pluck()
  const reset = db.prepare(
    `insert into ${table} (server_id, ${key}, traffic_seq) values (${LOCAL_SERVER_ID}, @id, @seq)
     on conflict (server_id, ${key}) do update set reset_up = up, reset_down = down, traffic_seq = excluded.traffic_seq`,
  )
  return {
    used: (id) => (used.get(id) as number | undefined) ?? 0,
    reset: (id, trafficSeq) => void reset.run({ id, seq: trafficSeq }),
  }
}
