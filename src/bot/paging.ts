/** Rows on one page of a list: what fits a phone without scrolling. */
export const PAGE_SIZE = 8

export interface Paged<T> {
  items: T[]
  /** From 0. */
  page: number
  /** At least 1. */
  pages: number
}

/** One page of a list; a page that is no more becomes the last one. */
export function pageOf<T>(items: readonly T[], page: number, size = PAGE_SIZE): Paged<T> {
  const pages = Math.max(1, Math.ceil(items.length / size))
  const at = Math.min(Math.max(page, 0), pages - 1)
  return { items: items.slice(at * size, (at + 1) * size), page: at, pages }
}
