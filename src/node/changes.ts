import type { Changes, MirroredInbound } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { PositionStore } from './rows/position.ts'
import type { Rows } from './rows/rows.ts'
import { createTombstones } from './rows/tombstones.ts'

const S = LOCAL_SERVER_ID

/** What a mirror asks for. */
export interface ChangesQuery {
  epoch: string
  since: number
  trafficSince: number
}

/**
 * What a mirror lacks: rows that changed after its position, and what was deleted; everything when its epoch is
 * another one, or when it claims to be ahead of us, as it would be after an older copy of our database was put back.
 */
export function createChanges(db: Sqlite, rows: Rows, position: PositionStore) {
  const inboundIds = db.prepare(`select id from inbounds where server_id = ${S} and change_seq > ?`).pluck()
  const clientIds = db.prepare(`select id from clients where server_id = ${S} and change_seq > ?`).pluck()
  const tombstones = createTombstones(db)
  const clientTraffic = db.prepare(
    `select client_id as id, up, down, reset_up as resetUp, reset_down as resetDown from client_traffics
     where server_id = ${S} and traffic_seq > ?`,
  )
  const inboundTraffic = db.prepare(
    `select inbound_id as id, up, down from inbound_traffics where server_id = ${S} and traffic_seq > ?`,
  )
  const outboundTraffic = db.prepare(
    `select tag, up, down from outbound_traffics where server_id = ${S} and traffic_seq > ?`,
  )
  const present = <T>(value: T | undefined): T[] => (value === undefined ? [] : [value])

  return (query: ChangesQuery): Changes =>
    db.transaction(() => {
      const here = position.read()
      const full =
        query.epoch !== here.epoch || query.since > here.changeSeq || query.trafficSince > here.trafficSeq
      const since = full ? -1 : query.since
      const trafficSince = full ? -1 : query.trafficSince
      return {
        ...here,
        full,
        inbounds: (inboundIds.all(since) as number[])
          .flatMap((id) => present(rows.inboundSettings(id)))
          .map((row) => withoutSeq(row) as MirroredInbound),
        clients: (clientIds.all(since) as number[]).flatMap((id) => present(rows.client(id))).map(withoutSeq),
        deleted: full ? [] : tombstones.since(since).map(({ kind, id }) => ({ kind, id })),
        traffic: {
          clients: clientTraffic.all(trafficSince) as Changes['traffic']['clients'],
          inbounds: inboundTraffic.all(trafficSince) as Changes['traffic']['inbounds'],
          outbounds: outboundTraffic.all(trafficSince) as Changes['traffic']['outbounds'],
        },
      }
    })()
}

function withoutSeq<T extends { changeSeq: number }>(record: T): Omit<T, 'changeSeq'> {
  const { changeSeq: _, ...row } = record
  return row
}
