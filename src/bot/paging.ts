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

/** One page of a list whose items differ in size: each page holds what there is room for, one item at least. */
export function packed<T>(
  items: readonly T[],
  page: number,
  { most, room, size }: { most: number; room: number; size: (item: T) => number },
): Paged<T> {
  const pages: T[][] = [[]]
  let used = 0
  for (const item of items) {
    const last = pages.at(-1) ?? []
    if (last.length > 0 && (last.length === most || used + size(item) > room)) {
      pages.push([item])
      used = size(item)
    } else {
      last.push(item)
      used += size(item)
    }
  }
  const at = Math.min(Math.max(page, 0), pages.length - 1)
  return { items: pages[at] ?? [], page: at, pages: pages.length }
}
