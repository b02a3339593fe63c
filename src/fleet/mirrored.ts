import type { Runtime } from '#src/runtime.ts'
import type { Mirror } from './mirror.ts'

/** ms. Watchers of a change wait this long for the mirror to show it; it follows in any case. */
const PATIENCE = 3_000
/** ms */
const PAUSE = 250

/**
 * Waits until the mirror shows what a server has just answered to, or until that takes too long to wait for.
 * @param stopping ends every wait
 */
export function createMirrored(deps: {
  runtime: Pick<Runtime, 'now' | 'sleep'>
  mirror: Pick<Mirror, 'sync' | 'syncedAt'>
  stopping: AbortSignal
}): (serverId: number) => Promise<void> {
  const { runtime, mirror, stopping } = deps

  /** A server that has answered and is cut off or starts again just then is asked once more. */
  async function seenSince(serverId: number, answeredAt: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await mirror.sync(serverId)
      if ((mirror.syncedAt(serverId) ?? 0) >= answeredAt) return
      await runtime.sleep(PAUSE, signal).catch(() => undefined)
    }
  }

  return async (serverId) => {
    const enough = new AbortController()
    const signal = AbortSignal.any([enough.signal, stopping])
    const patience = runtime.sleep(PATIENCE, signal).catch(() => undefined)
    await Promise.race([seenSince(serverId, runtime.now(), signal), patience])
    enough.abort()
  }
}
