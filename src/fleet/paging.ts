import type { Page } from './types.ts'

/** One page of `total` items. Pages count from 0; one beyond the end is the last, since rows may have gone. */
export function paged<T>(
  query: { page: number; size: number },
  total: number,
  fetch: (limit: number, offset: number) => T[],
): Page<T> {
  const size = Math.max(1, Math.trunc(query.size))
  const pages = Math.max(1, Math.ceil(total / size))
  const page = Math.min(Math.max(0, Math.trunc(query.page)), pages - 1)
  return { items: fetch(size, page * size), total, page, pages }
}
