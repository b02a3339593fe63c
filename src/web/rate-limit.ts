/**
 * Counts attempts per key in windows of fixed length.
 * @returns a function that is true while the key may go on
 */
export function createRateLimit(options: {
  /** Attempts per key and window. */
  limit: number
  windowMs: number
  /** Keys remembered at most; the oldest is forgotten first, so that made-up keys cannot fill the memory. */
  maxKeys: number
  now: () => number
}): (key: string) => boolean {
  const { limit, windowMs, maxKeys, now } = options
  const windows = new Map<string, { start: number; count: number }>()
  return (key) => {
    const at = now()
    const known = windows.get(key)
    if (known !== undefined && at - known.start < windowMs) return ++known.count <= limit
    windows.delete(key)
    if (windows.size >= maxKeys) {
      const [oldest] = windows.keys()
      if (oldest !== undefined) windows.delete(oldest)
    }
    windows.set(key, { start: at, count: 1 })
    return limit > 0
  }
}
