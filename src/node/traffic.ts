import type { OperationName } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { DAY_MS, type Runtime } from '#src/runtime.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { requireInbound } from './inbounds.ts'
import type { NodeOperations } from './operations.ts'
import type { PositionStore } from './rows/position.ts'
import type { Rows } from './rows/rows.ts'

const S = LOCAL_SERVER_ID

type TrafficOperations = Pick<NodeOperations, Extract<OperationName, `traffic.${string}`>>

interface Bytes {
  up: number
  down: number
}

/** Which counts by day an answer is made of. */
interface Subject {
  kind: 'client' | 'inbound' | 'outbound'
  /** null: all of them together. */
  subject: string | null
}

/** What was counted, as it is asked for. Reading changes nothing. */
export function createTraffic(deps: {
  db: Sqlite
  rows: Rows
  position: PositionStore
  runtime: Pick<Runtime, 'now'>
}): TrafficOperations {
  const { db, rows, position, runtime } = deps
  const total = db.prepare(
    // By outbound, since inbounds and clients take their counters with them when they are deleted.
    `select coalesce(sum(up), 0) as up, coalesce(sum(down), 0) as down from outbound_traffics where server_id = ${S}`,
  )
  const perClient = db.prepare(
    `select email, up, down from client_traffics t join clients c on c.server_id = t.server_id and c.id = t.client_id
     where t.server_id = ${S} order by c.id`,
  )
  const perOutbound = db.prepare(
    `select tag, up, down from outbound_traffics where server_id = ${S} order by tag`,
  )
  const perDay = db.prepare(
    `select day, sum(up) as up, sum(down) as down from traffic_days
     where server_id = ${S} and kind = @kind and (@subject is null or subject = @subject) and day >= @since
     group by day order by day`,
  )

  function subjectOf(of: 'server' | Subject['kind'], name: string | undefined): Subject {
    if (of === 'server') return { kind: 'outbound', subject: null }
    if (name === undefined) return fail('BAD_INPUT', { field: 'name', reason: `which ${of}?` })
    if (of === 'outbound') return { kind: of, subject: name }
    if (of === 'inbound') return { kind: of, subject: String(requireInbound(rows, name).id) }
    const client = rows.clientByEmail(name) ?? fail('CLIENT_NOT_FOUND', { email: name })
    return { kind: of, subject: String(client.id) }
  }

  return {
    'traffic.total': async () => ({ ...(total.get() as Bytes), epoch: position.read().epoch }),
    'traffic.clients': async () => perClient.all() as ({ email: string } & Bytes)[],
    'traffic.outbounds': async () => perOutbound.all() as ({ tag: string } & Bytes)[],
    'traffic.days': async ({ of, name, days }) => {
      const since = Math.floor(runtime.now() / DAY_MS) - days + 1
      const counted = perDay.all({ ...subjectOf(of, name), since }) as ({ day: number } & Bytes)[]
      return counted.map(({ day, up, down }) => ({
        day: new Date(day * DAY_MS).toISOString().slice(0, 10),
        up,
        down,
      }))
    },
  }
}
