import { timingSafeEqual } from 'node:crypto'

/** Whether two texts are the same, told in a time that says nothing of where they differ. */
export function isSameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
