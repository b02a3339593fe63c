import type { Log } from '#src/log.ts'

/** A log nobody reads. */
export function silentLog(): Log {
  const ignore = (): void => undefined
  return { debug: ignore, info: ignore, warn: ignore, error: ignore }
}
