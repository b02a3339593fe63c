import type { SecretBox } from '#src/trust/secret-box.ts'
import { type Raw, placeOf } from './tables.ts'

export interface Place {
  table: string
  key: readonly (Raw[string] | undefined)[]
  column: string
}

export type Resealing = ReturnType<typeof createResealing>

/**
 * A sealed text belongs to one key and one place: brought to another, it is opened and sealed anew.
 * @param ours seals here
 * @param theirs opens what comes from the backup
 */
export function createResealing(ours: SecretBox, theirs: SecretBox) {
  const textOf = ({ table, key, column }: Place): string => placeOf(table, key, column)
  const mine = `${ours.keyIds[0]}:`
  return {
    /** @throws FleetError SECRET_UNREADABLE */
    move(sealed: Raw[string] | undefined, from: Place, to: Place): string | null {
      if (typeof sealed !== 'string') return null
      const plain = theirs.open(sealed, textOf(from))
      const isAtHome = sealed.startsWith(mine) && textOf(from) === textOf(to)
      return isAtHome ? sealed : ours.seal(plain, textOf(to))
    },

    /** Whether two texts that are sealed for one place here say the same. */
    isSame(a: Raw[string] | undefined, b: Raw[string] | undefined, place: Place): boolean {
      if (typeof a !== 'string' || typeof b !== 'string') return a === b
      return a === b || ours.open(a, textOf(place)) === ours.open(b, textOf(place))
    },
  }
}
