import type { RestoredRows } from '#src/contract/index.ts'

/** A report is read by people: so many names of each kind, the rest is a number. */
const NAMES = 50

export type Outcome = Exclude<keyof RestoredRows, 'names'>

/** Counts what became of the rows of one kind. */
export function createTally() {
  const rows: RestoredRows = {
    restored: 0,
    unchanged: 0,
    deleted: 0,
    taken: 0,
    kept: 0,
    names: { deleted: [], taken: [], kept: [] },
  }
  return {
    rows,
    /** @param name is asked for only where it is told */
    add(outcome: Outcome, name: () => string): void {
      rows[outcome]++
      if (outcome === 'restored' || outcome === 'unchanged') return
      const names = rows.names[outcome]
      if (names.length < NAMES) names.push(name())
    },
  }
}
