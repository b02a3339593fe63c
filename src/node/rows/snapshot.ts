import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { createTombstones } from './tombstones.ts'

/** The rows a change touches. */
export interface Scope {
  inbounds: number[]
  clients: number[]
  /** Domains. */
  certificates?: string[]
  /** How connections leave the server. */
  routing?: boolean | undefined
}

/** Something done with Xray itself, and which Xray ran before: that tells, after a kill, whether it was done. */
export interface Command {
  operation: string
  xrayBefore: string | null
  /** What it was done to, where the operation alone does not say it. */
  target: object | null
}

export type Raw = Record<string, string | number | null>

/** Rows as they stand in the file: sealed columns stay sealed. */
export interface Snapshot {
  scope: Scope
  inbounds: Raw[]
  clients: Raw[]
  placements: Raw[]
  clientTraffics: Raw[]
  inboundTraffics: Raw[]
  /** From where its clients have come. */
  addresses?: Raw[]
  certificates?: Raw[]
  /** That were deleted before, of the domains in the scope. */
  deletedCertificates?: Raw[]
  /** None: nothing was ever said of it, or it is not in the scope. */
  routings?: Raw[]
  command?: Command | undefined
}

const S = LOCAL_SERVER_ID

/** The inbounds that clients of a snapshot stood in, or one client alone. */
export function standingsOf({ placements }: Snapshot, clientId?: number): number[] {
  const own = placements.filter((row) => clientId === undefined || row['client_id'] === clientId)
  return own.map((row) => Number(row['inbound_id']))
}

/** Takes the rows of a scope aside before a change, and puts them back if Xray refuses it. */
export function createSnapshots(db: Sqlite) {
  const select = (table: string, column: string) =>
    db.prepare(`select * from ${table} where server_id = ${S} and ${column} = ?`)
  const sources = {
    inbounds: select('inbounds', 'id'),
    clients: select('clients', 'id'),
    clientPlacements: select('client_inbounds', 'client_id'),
    inboundPlacements: select('client_inbounds', 'inbound_id'),
    clientTraffics: select('client_traffics', 'client_id'),
    inboundTraffics: select('inbound_traffics', 'inbound_id'),
    addresses: select('inbound_client_ips', 'client_id'),
    certificates: select('certificates', 'domain'),
    deletedCertificates: select('deleted_certificates', 'domain'),
    routings: select('routings', 'server_id'),
  }
  const dropInbound = db.prepare(`delete from inbounds where server_id = ${S} and id = ?`)
  const dropRouting = db.prepare(`delete from routings where server_id = ${S}`)
  const dropClient = db.prepare(`delete from clients where server_id = ${S} and id = ?`)
  const dropCertificate = db.prepare(`delete from certificates where server_id = ${S} and domain = ?`)
  const dropDeleted = db.prepare(`delete from deleted_certificates where server_id = ${S} and domain = ?`)
  const tombstones = createTombstones(db)

  const rowsOf = <Id>(statement: { all(id: Id): unknown[] }, ids: Id[]): Raw[] =>
    ids.flatMap((id) => statement.all(id) as Raw[])

  function insert(table: string, rows: Raw[], changed: Raw = {}): void {
    const [first] = rows
    if (first === undefined) return
    const columns = Object.keys(first)
    // Column names come from our own schema, never from outside.
    const statement = db.prepare(
      `insert into ${table} (${columns.join(', ')}) values (${columns.map((name) => `@${name}`).join(', ')})
       on conflict do nothing`,
    )
    for (const row of rows) statement.run({ ...row, ...changed })
  }

  return {
    take(scope: Scope): Snapshot {
      return {
        scope,
        inbounds: rowsOf(sources.inbounds, scope.inbounds),
        clients: rowsOf(sources.clients, scope.clients),
        placements: [
          ...rowsOf(sources.clientPlacements, scope.clients),
          ...rowsOf(sources.inboundPlacements, scope.inbounds),
        ],
        clientTraffics: rowsOf(sources.clientTraffics, scope.clients),
        inboundTraffics: rowsOf(sources.inboundTraffics, scope.inbounds),
        addresses: rowsOf(sources.addresses, scope.clients),
        ...(scope.certificates === undefined
          ? {}
          : {
              certificates: rowsOf(sources.certificates, scope.certificates),
              deletedCertificates: rowsOf(sources.deletedCertificates, scope.certificates),
            }),
        routings: scope.routing === true ? rowsOf(sources.routings, [S]) : [],
      }
    },

    /** A snapshot to be kept, once the change is made: addresses may be many, and go with a client that is deleted only. */
    withoutPresent(snapshot: Snapshot): Snapshot {
      const { addresses = [] } = snapshot
      const owners = new Set(addresses.map((row) => row['client_id']))
      const gone = new Set([...owners].filter((id) => sources.clients.get(id) === undefined))
      return { ...snapshot, addresses: addresses.filter((row) => gone.has(row['client_id'])) }
    },

    /**
     * Rows as they were, but for the lifetime counters: what was counted meanwhile stays counted. All of it is
     * changed, since a mirror may have seen it otherwise meanwhile.
     */
    restore(snapshot: Snapshot, { changeSeq, trafficSeq }: { changeSeq: number; trafficSeq: number }): void {
      const grown = {
        clients: rowsOf(sources.clientTraffics, snapshot.scope.clients),
        inbounds: rowsOf(sources.inboundTraffics, snapshot.scope.inbounds),
      }
      const seen = [...rowsOf(sources.addresses, snapshot.scope.clients), ...(snapshot.addresses ?? [])]
      for (const id of snapshot.scope.clients) {
        dropClient.run(id)
        tombstones.bury('client', id, changeSeq)
      }
      for (const id of snapshot.scope.inbounds) {
        dropInbound.run(id)
        tombstones.bury('inbound', id, changeSeq)
      }
      for (const domain of snapshot.scope.certificates ?? []) {
        dropCertificate.run(domain)
        dropDeleted.run(domain)
      }
      insert('certificates', snapshot.certificates ?? [])
      insert('deleted_certificates', snapshot.deletedCertificates ?? [])
      if (snapshot.scope.routing === true) dropRouting.run()
      insert('routings', snapshot.routings ?? [])
      insert('inbounds', snapshot.inbounds, { change_seq: changeSeq })
      insert('clients', snapshot.clients, { change_seq: changeSeq })
      insert('client_inbounds', snapshot.placements)
      const staying = new Set(snapshot.clients.map((row) => row['id']))
      insert(
        'inbound_client_ips',
        seen.filter((row) => staying.has(row['client_id'] ?? null)),
      )
      const clientTraffics = withGrowth(snapshot.clientTraffics, grown.clients, 'client_id', snapshot.clients)
      insert('client_traffics', clientTraffics, { traffic_seq: trafficSeq })
      const inboundTraffics = withGrowth(
        snapshot.inboundTraffics,
        grown.inbounds,
        'inbound_id',
        snapshot.inbounds,
      )
      insert('inbound_traffics', inboundTraffics, { traffic_seq: trafficSeq })
      for (const row of snapshot.inbounds) tombstones.unbury('inbound', Number(row['id']))
      for (const row of snapshot.clients) tombstones.unbury('client', Number(row['id']))
    },
  }
}

/**
 * Counters of before, with the larger of both readings where they have grown since; and those that began since, for
 * the owners that stay. A reset is taken back with the rest.
 */
function withGrowth(before: Raw[], since: Raw[], key: string, owners: Raw[]): Raw[] {
  const larger = (row: Raw, later: Raw | undefined): Raw => ({
    ...row,
    ...Object.fromEntries(
      ['up', 'down', 'last_active_at']
        .filter((column) => Number(later?.[column] ?? 0) > Number(row[column] ?? 0))
        .map((column) => [column, later?.[column] ?? null]),
    ),
  })
  const owned = new Set(owners.map((row) => row['id']))
  const begun = since.filter(
    (row) => owned.has(row[key] ?? null) && !before.some((old) => old[key] === row[key]),
  )
  return [
    ...before.map((row) =>
      larger(
        row,
        since.find((later) => later[key] === row[key]),
      ),
    ),
    ...begun,
  ]
}
