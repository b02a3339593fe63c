import { LOCAL_SERVER_ID } from '#src/store/open.ts'
import { type Context, bookkeeping } from './put-entity.ts'
import { type Dependent, type Ids, type Raw, type Subject, columnsOf, quoted } from './tables.ts'
import type { Outcome } from './tally.ts'

const S = LOCAL_SERVER_ID

interface Watching {
  /** Whether a row that is not here was deleted since, and is to be left out. */
  isDeleted?: (row: Raw) => boolean
  /** What became of a row, as it is called here. taken: what stands here is newer. */
  tell?: (row: Raw, outcome: Exclude<Outcome, 'kept'>) => void
}

/** Carries rows over that belong to others, or stand for themselves; those whose owner was left out are too. */
export function putDependent(
  context: Context & { trafficSeq: number },
  dependent: Dependent,
  { isDeleted, tell }: Watching = {},
): void {
  const { db, copy, ids, changeSeq, trafficSeq, now, resealing } = context
  const { table, key, refers, sealed, subject, merge } = dependent
  const columns = columnsOf(db, table)
  const isKey = key.map((name) => ` and ${quoted(name)} = @${name}`).join('')
  const present = db.prepare(`select * from ${table} where server_id = ${S}${isKey}`)
  const put = db.prepare(
    `insert or replace into ${table} (${columns.map(quoted).join(', ')})
     values (${columns.map((name) => `@${name}`).join(', ')})`,
  )
  const stamps: Raw = { server_id: S, change_seq: changeSeq, traffic_seq: trafficSeq, updated_at: now }
  const isStamped = (name: string): boolean =>
    columns.includes(name) && (typeof merge === 'string' || merge.newer !== name)
  const kept = Object.fromEntries(Object.entries(stamps).filter(([name]) => isStamped(name)))

  const rows = copy.prepare(`select * from ${table} where server_id = ${S}`)
  for (const row of rows.iterate() as IterableIterator<Raw>) {
    const owners = [
      ...Object.entries(refers).map(([name, kind]) => [name, ids[kind].get(Number(row[name]))] as const),
      ...(subject === undefined ? [] : [[subject.id, subjectHere(row, subject, ids)] as const]),
    ]
    if (owners.some(([, id]) => id === undefined)) continue
    const moved: Raw = { ...row, ...(Object.fromEntries(owners) as Raw) }
    for (const column of sealed) {
      const place = (of: Raw) => ({ table, key: key.map((name) => of[name]), column })
      moved[column] = resealing.move(row[column], place(row), place(moved))
    }
    const here = present.get(moved) as Raw | undefined
    if (here === undefined && isDeleted?.(moved) === true) {
      tell?.(moved, 'deleted')
      continue
    }
    const isSame = (column: string): boolean =>
      resealing.isSame(here?.[column], moved[column], { table, key: key.map((name) => moved[name]), column })
    const next = here === undefined ? moved : merged(here, moved, dependent, isSame)
    if (next !== here) put.run({ ...next, ...kept })
    tell?.(moved, next !== here ? 'restored' : isAsOld(here, moved, dependent) ? 'unchanged' : 'taken')
  }
}

/** What a row is about, as it is called here; undefined where that is not here. */
function subjectHere(row: Raw, { kind, id }: Subject, ids: Ids): string | undefined {
  const of = String(row[kind])
  if (of !== 'client' && of !== 'inbound') return String(row[id])
  return ids[of].get(Number(row[id]))?.toString()
}

const isAsOld = (here: Raw, there: Raw, { merge }: Dependent): boolean =>
  typeof merge === 'string' || here[merge.newer] === there[merge.newer]

/**
 * @param isSame whether a sealed column says the same
 * @returns `here` itself where nothing of it changes
 */
function merged(
  here: Raw,
  there: Raw,
  { merge, key, sealed }: Dependent,
  isSame: (column: string) => boolean,
): Raw {
  if (typeof merge !== 'string') return Number(there[merge.newer]) > Number(here[merge.newer]) ? there : here
  if (merge === 'theirs') {
    const content = Object.keys(there).filter((name) => !bookkeeping.includes(name))
    if (content.every((name) => (sealed.includes(name) ? isSame(name) : here[name] === there[name])))
      return here
    const version = Math.max(Number(here['row_version']), Number(there['row_version'])) + 1
    return { ...there, ...('row_version' in there && { row_version: version }) }
  }
  const grown = Object.entries(there).filter(
    ([name, value]) =>
      !key.includes(name) &&
      name !== 'traffic_seq' &&
      typeof value === 'number' &&
      value > Number(here[name] ?? 0),
  )
  return grown.length === 0 ? here : { ...here, ...Object.fromEntries(grown) }
}
