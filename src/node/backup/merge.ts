/** Brings the rows of a checked copy into the node's own tables. Inside one transaction of the caller. */
import type { Deleted, RestoredRows } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { createCertificateUsers } from '../certificates/certificate-users.ts'
import { createCertificateRows, createDeletedCertificates } from '../certificates/rows.ts'
import { pinFor } from '../certificates/shown.ts'
import type { PositionStore } from '../rows/position.ts'
import { type Rows, emailKey } from '../rows/rows.ts'
import { createTombstones } from '../rows/tombstones.ts'
import type { CheckedCopy } from './check-copy.ts'
import { type Known, decideFates } from './fates.ts'
import { createLine } from './line.ts'
import { putCertificates } from './put-certificates.ts'
import { putDependent } from './put-dependent.ts'
import { type Context, createPut } from './put-entity.ts'
import { createResealing } from './reseal.ts'
import { type Entity, type Kind, type Raw, dependents, entities, quoted } from './tables.ts'
import { type Outcome, createTally } from './tally.ts'

const S = LOCAL_SERVER_ID

export interface MergeDeps {
  db: Sqlite
  /** Seals here. */
  box: SecretBox
  rows: Rows
  position: PositionStore
  now: number
}

export interface Merging {
  copy: CheckedCopy
  /** Opens what is sealed in the copy. */
  theirBox: SecretBox
  deleted: Deleted
}

export interface Merged {
  inbounds: RestoredRows
  clients: RestoredRows
  certificates: RestoredRows
  /** kept: the backup says nothing of it. */
  routing: 'restored' | 'unchanged' | 'kept'
}

/** @param part structure: all but clients and what is theirs, to see what would come of it before it is taken back */
export function merge(deps: MergeDeps, merging: Merging, part: 'all' | 'structure' = 'all'): Merged {
  const { db, box, rows, position, now } = deps
  const { copy, theirBox, deleted } = merging
  const line = createLine(db)
  const sameLine = joinLine(db, line, copy)
  // Whoever followed this node must not go on from where it stood.
  position.begin()
  if (sameLine) position.raise(copy.position)
  else position.raise({ ...copy.position, nextId: 0 })
  const context: Context = {
    db,
    position,
    now,
    copy: copy.db,
    ids: { inbound: new Map(), client: new Map() },
    changeSeq: position.nextChange(),
    resealing: createResealing(box, theirBox),
  }
  const counts = new Map<Kind, RestoredRows>()
  const isPart = (each: { structural?: true }): boolean => part === 'all' || each.structural === true
  for (const entity of entities.filter(isPart)) {
    const isDeleted = deletions(entity.kind, deleted, sameLine)
    counts.set(entity.kind, mergeEntity(context, entity, { sameLine, isDeleted }))
  }
  const carrying = { ...context, trafficSeq: position.nextTraffic() }
  let certificates = createTally().rows
  let routing: Merged['routing'] = 'kept'
  for (const dependent of dependents.filter(isPart)) {
    if (dependent.table === 'certificates') {
      certificates = putCertificates(carrying, dependent, { deleted, sameLine })
    } else if (dependent.table === 'routings') {
      const tell = (_: Raw, outcome: Outcome): void =>
        void (routing = outcome === 'restored' ? outcome : 'unchanged')
      putDependent(carrying, dependent, { tell })
    } else putDependent(carrying, dependent)
  }
  repinAll({ db, box, rows, changeSeq: context.changeSeq, now })
  const countOf = (kind: Kind): RestoredRows => counts.get(kind) ?? createTally().rows
  return { inbounds: countOf('inbound'), clients: countOf('client'), certificates, routing }
}

/** Whether ids mean the same rows there and here. A database that never had a row becomes one of their line. */
function joinLine(db: Sqlite, line: ReturnType<typeof createLine>, copy: CheckedCopy): boolean {
  if (copy.line === undefined) return false
  if (line.read() === copy.line) return true
  const used = db.prepare(`select next_id > 1 from sync_states where server_id = ${S}`).pluck().get()
  if (used === 1) return false
  line.set(copy.line)
  const theirs = createTombstones(copy.db).since(-1)
  const ours = createTombstones(db)
  for (const { kind, id, changeSeq } of theirs) ours.bury(kind, id, changeSeq)
  const deletedHere = createDeletedCertificates(db)
  for (const { domain, deletedAt } of createDeletedCertificates(copy.db).all())
    deletedHere.bury(domain, deletedAt)
  return true
}

/** Whether whoever sends the backup knows that a row was deleted. */
function deletions(kind: Kind, deleted: Deleted, sameLine: boolean): (row: Known) => boolean {
  const named =
    kind === 'client'
      ? deleted.clients.map(({ email, at }) => [emailKey(email), at] as const)
      : deleted.inbounds.map(({ inbound, at }) => [inbound, at] as const)
  const known = new Map(named)
  const covers = (ref: string, row: Known): boolean =>
    known.has(ref) && row.createdAt < (known.get(ref) ?? Infinity)
  return (row) => covers(row.name, row) || (sameLine && kind === 'inbound' && covers(String(row.id), row))
}

function mergeEntity(
  context: Context,
  entity: Entity,
  how: { sameLine: boolean; isDeleted: (row: Known) => boolean },
): RestoredRows {
  const { db, copy, ids } = context
  const knownIn = (of: Sqlite): Known[] =>
    of
      .prepare(
        `select id, ${quoted(entity.name)} as name, created_at as createdAt from ${entity.table} where server_id = ${S}`,
      )
      .all() as Known[]
  const [theirs, ours] = [knownIn(copy), knownIn(db)]
  const buried = createTombstones(db).since(-1)
  const put = createPut(context, entity)
  const fates = decideFates({
    ...how,
    theirs,
    ours,
    buried: new Set(buried.filter(({ kind }) => kind === entity.kind).map(({ id }) => id)),
    isSame: (there, here) => put.isSame(there, here),
  })

  const tally = createTally()
  put.park(theirs, ours, fates)
  const shown = entity.kind === 'client' ? 'email' : entity.name
  const rows = copy.prepare(`select * from ${entity.table} where server_id = ${S} order by id`)
  const touched = new Set<number>()
  for (const row of rows.iterate() as IterableIterator<Raw>) {
    const id = Number(row['id'])
    const fate = fates.get(id) ?? { to: 'deleted' }
    const here = put.carryOut(row, fate)
    if (here !== undefined) {
      ids[entity.kind].set(id, here.id)
      touched.add(here.id)
    }
    const isLeftOut = fate.to === 'deleted' || fate.to === 'taken'
    const outcome = isLeftOut ? fate.to : here?.changed === true ? 'restored' : 'unchanged'
    tally.add(outcome, () => String(row[shown]))
  }
  const name = db.prepare(`select ${shown} from ${entity.table} where server_id = ${S} and id = ?`).pluck()
  for (const { id } of ours) if (!touched.has(id)) tally.add('kept', () => String(name.get(id)))
  return tally.rows
}

/** Which certificate is shown is told by its own row, and links must pin that one, whatever an inbound's row was put back with. */
function repinAll({
  db,
  box,
  rows,
  changeSeq,
  now,
}: Omit<MergeDeps, 'position'> & { changeSeq: number }): void {
  const users = createCertificateUsers(rows)
  for (const certificate of createCertificateRows(db, box).all()) {
    const pin = pinFor(certificate)
    users.repin(users.pinningOther(certificate.domain, pin), pin, changeSeq, now)
  }
}
