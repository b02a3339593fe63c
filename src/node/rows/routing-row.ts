import { plainRouting, type RoutingDocument } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'

const S = LOCAL_SERVER_ID
const place = `routings:${S}:document`

export type RoutingRow = ReturnType<typeof createRoutingRow>

/** How connections leave this server, as one document: sealed, since ways out hold credentials. */
export function createRoutingRow(db: Sqlite, box: SecretBox) {
  const get = db.prepare(`select document, row_version as rowVersion from routings where server_id = ${S}`)
  const put = db.prepare(
    `insert into routings (server_id, document, row_version, updated_at) values (${S}, ?, ?, ?)
     on conflict (server_id) do update
       set document = excluded.document, row_version = excluded.row_version, updated_at = excluded.updated_at`,
  )

  const open = (sealed: string): RoutingDocument => ({
    ...plainRouting,
    ...(JSON.parse(box.open(sealed, place)) as RoutingDocument),
  })

  return {
    /** A sealed document, opened; without one, what holds where nothing was ever said. */
    open: (sealed: unknown): RoutingDocument => (typeof sealed === 'string' ? open(sealed) : plainRouting),

    /** rowVersion: 0 until it is saved for the first time. */
    read(): { document: RoutingDocument; rowVersion: number } {
      const row = get.get() as { document: string; rowVersion: number } | undefined
      if (row === undefined) return { document: plainRouting, rowVersion: 0 }
      return { document: open(row.document), rowVersion: row.rowVersion }
    },

    save(document: RoutingDocument, rowVersion: number, now: number): void {
      put.run(box.seal(JSON.stringify(document), place), rowVersion, now)
    },
  }
}
