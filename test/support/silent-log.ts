import type { XrayLog } from '#src/xray/log.ts'

/** A log nobody reads. */
export function silentLog(): XrayLog {
  const ignore = (): void => undefined
  return { debug: ignore, info: ignore, warn: ignore, error: ignore }
}
