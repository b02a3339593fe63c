import type { ErrorDetails } from './errors.ts'

/** Characters. A person reads no longer reason, and a message has room for it and all the rest. */
export const LONGEST_REASON = 1_000

/** A text of at most `length` characters; one that was cut ends in "…". */
export function clip(text: string, length: number): string {
  if (text.length <= length) return text
  // A character is two units at most: what is longer than that is never taken apart.
  const letters = Array.from(text.slice(0, 2 * length + 2))
  return letters.length <= length ? text : `${letters.slice(0, length - 1).join('')}…`
}

/** The details of an error that came from elsewhere, no longer than a person reads. */
export function clipDetails(details: ErrorDetails): ErrorDetails {
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => [
      key,
      typeof value === 'string' ? clip(value, LONGEST_REASON) : value,
    ]),
  )
}
