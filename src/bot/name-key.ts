import { createHash } from 'node:crypto'

/** Stands for a name that may be longer than a button's data: 12 letters, digits, dashes and underscores. */
export function nameKey(name: string): string {
  return createHash('sha256').update(name).digest('base64url').slice(0, 12)
}
