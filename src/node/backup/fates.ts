/** What becomes of each row of a backup, given what is here now. Pure. */

/** A row with an id and a name. */
export interface Known {
  id: number
  name: string
  /** ms */
  createdAt: number
}

export type Fate =
  /** It takes the place of this row of ours, which is the same one. */
  | { to: 'over'; id: number }
  /** It is added, with this id; without one, under a new id. */
  | { to: 'add'; id?: number }
  /** It was deleted since. */
  | { to: 'deleted' }
  /** Another row has its name by now, and keeps it. `id`: the row it was is still here, and stays as it is. */
  | { to: 'taken'; id?: number }

export interface Circumstances {
  theirs: readonly Known[]
  ours: readonly Known[]
  /** Whether an id means the same row there and here. */
  sameLine: boolean
  /** Ids that were deleted here. */
  buried: ReadonlySet<number>
  /** Whether whoever sends the backup knows of its deletion. Not asked for a row that is here. */
  isDeleted: (row: Known) => boolean
  /** Whether two rows of one name are the same one. */
  isSame: (theirs: Known, ours: Known) => boolean
}

/** The fate of every row of theirs, by its id there. */
export function decideFates(given: Circumstances): Map<number, Fate> {
  const { theirs, ours, sameLine, buried, isDeleted, isSame } = given
  const byId = new Map(ours.map((row) => [row.id, row]))
  const byName = new Map(ours.map((row) => [row.name, row]))

  /** By their id, the row of ours that it is. A copy that was put back may have given an id twice: the time tells. */
  const same = new Map<number, Known>()
  for (const row of sameLine ? theirs : []) {
    const found = byId.get(row.id)
    if (found?.createdAt === row.createdAt) same.set(row.id, found)
  }

  // A name is free again where its holder gets another one back. One that does not, holds on to it, so that the next
  // cannot have it back either.
  const moving = new Set([...same.values()].map(({ id }) => id))
  const isFree = (name: string, self?: Known): boolean => {
    const holder = byName.get(name)
    return holder === undefined || holder === self || moving.has(holder.id)
  }
  for (let before = -1; before !== moving.size;) {
    before = moving.size
    for (const row of theirs) {
      const self = same.get(row.id)
      if (self !== undefined && !isFree(row.name, self)) moving.delete(self.id)
    }
  }

  const fateOf = (row: Known): Fate => {
    const self = same.get(row.id)
    if (self !== undefined) return { to: moving.has(self.id) ? 'over' : 'taken', id: self.id }
    if (sameLine && buried.has(row.id)) return { to: 'deleted' }
    if (isDeleted(row)) return { to: 'deleted' }
    const holder = byName.get(row.name)
    if (holder !== undefined && !isFree(row.name))
      return isSame(row, holder) ? { to: 'over', id: holder.id } : { to: 'taken' }
    return sameLine && !byId.has(row.id) ? { to: 'add', id: row.id } : { to: 'add' }
  }
  return new Map(theirs.map((row) => [row.id, fateOf(row)]))
}
