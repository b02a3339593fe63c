import { FleetError, fail } from '#src/errors.ts'
import type { XrayProcess } from '#src/xray/life/process-types.ts'

/**
 * Tells the running Xray of a change. One that ends over it has refused it, for good: told of it again it might end
 * again, and everybody's connections with it. That it was chance is for whoever asked to find out.
 * @throws FleetError XRAY_REFUSED when it ended; else what `tell` throws
 */
export async function withinOneLife(
  process: Pick<XrayProcess, 'state' | 'noticeEnd'>,
  tell: () => Promise<void>,
): Promise<void> {
  const { startedAt } = process.state()
  let failure: unknown
  try {
    await tell()
  } catch (error) {
    failure = error
    if (isSilence(error)) await process.noticeEnd()
  }
  const { startedAt: life, lastError } = process.state()
  if (life === startedAt) {
    if (failure !== undefined) throw failure
    return
  }
  const why = lastError === null ? '' : `: ${lastError}`
  fail('XRAY_REFUSED', { reason: `it ended while it was told of this${why}` }, { cause: failure })
}

function isSilence(error: unknown): boolean {
  return error instanceof FleetError && error.code === 'XRAY_UNAVAILABLE'
}
