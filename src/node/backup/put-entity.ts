import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { PositionStore } from '../rows/position.ts'
import type { Fate, Known } from './fates.ts'
import type { Resealing } from './reseal.ts'
import { type Entity, type Ids, type Raw, columnsOf, quoted } from './tables.ts'

const S = LOCAL_SERVER_ID

/** How rows are carried over, and what is carried along. */
export interface Context {
  db: Sqlite
  copy: Sqlite
  position: PositionStore
  /** From the id of a row there to its id here; what has none was left out. */
  ids: Ids
  changeSeq: number
  /** ms */
  now: number
  resealing: Resealing
}

/** Columns that say how a row is kept, not what it is. */
export const bookkeeping = ['server_id', 'id', 'row_version', 'change_seq', 'created_at', 'updated_at']

/** What puts rows of one kind into their table. */
export function createPut(context: Context, entity: Entity) {
  const { db, copy, changeSeq, now, position, resealing } = context
  const { table, sealed, members, proof } = entity
  const columns = columnsOf(db, table)
  const content = columns.filter((name) => !bookkeeping.includes(name))
  const byId = (of: Sqlite) => of.prepare(`select * from ${table} where server_id = ${S} and id = ?`)
  const [ourRow, theirRow] = [byId(db), byId(copy)]
  const insert = db.prepare(
    `insert into ${table} (${columns.map(quoted).join(', ')}) values (${columns.map((name) => `@${name}`).join(', ')})`,
  )
  const update = db.prepare(
    `update ${table} set ${[...content, 'row_version', 'change_seq', 'updated_at']
      .map((name) => `${quoted(name)} = @${name}`)
      .join(', ')} where server_id = @server_id and id = @id`,
  )
  // A control character stands in no name, so what is parked clashes with nothing.
  const parking = db.prepare(
    `update ${table} set ${quoted(entity.name)} = char(1) || id where server_id = ${S} and id = ?`,
  )
  const placements = members === undefined ? undefined : createMembers(context, members)

  function resealed(row: Raw, id: number): Raw {
    const there = { table, key: [row['id']] }
    return Object.fromEntries(
      Object.entries(row).map(([name, value]) =>
        sealed.includes(name)
          ? [name, resealing.move(value, { ...there, column: name }, { table, key: [id], column: name })]
          : [name, value],
      ),
    )
  }

  function isUnchanged(present: Raw, next: Raw, id: number): boolean {
    return content.every((name) => {
      if (present[name] === next[name]) return true
      return (
        sealed.includes(name) &&
        resealing.isSame(present[name], next[name], { table, key: [id], column: name })
      )
    })
  }

  function over(row: Raw, id: number): boolean {
    const present = ourRow.get(id) as Raw
    const next = resealed(row, id)
    const moved = placements?.set(Number(row['id']), id, false) ?? false
    if (!moved && isUnchanged(present, next, id)) return false
    const row_version = Math.max(Number(present['row_version']), Number(row['row_version'])) + 1
    update.run({ ...next, server_id: S, id, row_version, change_seq: changeSeq, updated_at: now })
    return true
  }

  function add(row: Raw, id: number): void {
    const row_version = Number(row['row_version']) + 1
    insert.run({
      ...resealed(row, id),
      server_id: S,
      id,
      row_version,
      change_seq: changeSeq,
      updated_at: now,
    })
    placements?.set(Number(row['id']), id, true)
  }

  return {
    /** Whether two rows of one name are the same: their credentials tell, where they have any. */
    isSame(their: Known, our: Known): boolean {
      if (proof === undefined) return true
      const [theirs, ours] = [theirRow.get(their.id) as Raw, ourRow.get(our.id) as Raw]
      return resealing.isSame(ours[proof], resealed(theirs, our.id)[proof], {
        table,
        key: [our.id],
        column: proof,
      })
    },

    /** Takes their names from rows that get another one back: two may change places. */
    park(theirs: readonly Known[], ours: readonly Known[], fates: ReadonlyMap<number, Fate>): void {
      const names = new Map(ours.map(({ id, name }) => [id, name]))
      for (const { id, name } of theirs) {
        const fate = fates.get(id)
        if (fate?.to === 'over' && names.get(fate.id) !== name) parking.run(fate.id)
      }
    },

    /** @returns the row's id here, undefined where it was left out; and whether it is another than before */
    carryOut(row: Raw, fate: Fate): { id: number; changed: boolean } | undefined {
      if (fate.to === 'over') return { id: fate.id, changed: over(row, fate.id) }
      if (fate.to === 'add') {
        const id = fate.id ?? position.nextId()
        add(row, id)
        return { id, changed: true }
      }
      return fate.to === 'taken' && fate.id !== undefined ? { id: fate.id, changed: false } : undefined
    },
  }
}

/** Which of another kind a row belongs to. */
function createMembers({ db, copy, ids }: Context, members: NonNullable<Entity['members']>) {
  const { table, own, other, kind } = members
  const inCopy = copy.prepare(`select ${other} from ${table} where server_id = ${S} and ${own} = ?`).pluck()
  const inOurs = db.prepare(`select ${other} from ${table} where server_id = ${S} and ${own} = ?`).pluck()
  const clear = db.prepare(`delete from ${table} where server_id = ${S} and ${own} = ?`)
  const join = db.prepare(`insert into ${table} (server_id, ${own}, ${other}) values (${S}, ?, ?)`)
  const theirs = new Set(ids[kind].values())
  return {
    /** What it belonged to then, and what has come since that the backup knows nothing of. @returns whether that differs */
    set(there: number, id: number, isNew: boolean): boolean {
      const present = isNew ? [] : (inOurs.all(id) as number[])
      const then = (inCopy.all(there) as number[]).flatMap((ref) => ids[kind].get(ref) ?? [])
      const wanted = new Set([...then, ...present.filter((ref) => !theirs.has(ref))])
      if (wanted.size === present.length && present.every((ref) => wanted.has(ref))) return false
      clear.run(id)
      for (const ref of wanted) join.run(id, ref)
      return true
    },
  }
}
