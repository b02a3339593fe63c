import type { Certificate } from '#src/contract/index.ts'
import { toFleetError } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import { DAY_MS, type Runtime, randomId } from '#src/runtime.ts'
import { daysLeft, isSoonDue, retryAt } from './renewal.ts'
import type { CertificateRows, CertificateSettings } from './rows.ts'

/** Nothing here is urgent to the minute. When to do what stands in the rows, so a restart forgets nothing. */
const LOOK_EVERY_MS = 10 * 60 * 1000

export interface RenewalsDeps {
  rows: CertificateRows
  runtime: Runtime
  log: Log
  /** A number from 0 to 1, another each time. */
  chance: () => number
  renew: (domain: string) => Promise<Certificate>
  /** Told once a day, as long as it is so. */
  onSoonDue: (domain: string, daysLeft: number) => void
  intervalMs?: number | undefined
}

/** Renews certificates in time, one after the other, and tells of those that come to their end. */
export function createRenewals(deps: RenewalsDeps) {
  const { rows, runtime, log, chance, renew, onSoonDue, intervalMs = LOOK_EVERY_MS } = deps
  const stopping = new AbortController()
  /** When a domain was last told of. A restart may tell once more. */
  const toldAt = new Map<string, number>()
  let loop: Promise<void> = Promise.resolve()

  async function attempt(row: CertificateSettings): Promise<void> {
    const { domain, sha256 } = row
    try {
      const { notAfter } = await renew(domain)
      log.info({ domain, until: new Date(notAfter).toISOString() }, 'a certificate was renewed')
    } catch (thrown) {
      if (stopping.signal.aborted) return
      const error = toFleetError(thrown, randomId(runtime, 64))
      const failures = row.failures + 1
      const asked = Number(error.details['retryAfter'] ?? 0)
      const nextTryAt = retryAt(failures, runtime.now(), chance(), asked)
      rows.noteFailure({ domain, sha256 }, { failures, lastError: error.message, nextTryAt })
      log.warn(
        { domain, failures, error: error.message, nextTryAt: new Date(nextTryAt).toISOString() },
        'a certificate was not renewed',
      )
    }
  }

  function tellOf(row: CertificateSettings): void {
    const now = runtime.now()
    if (!isSoonDue(row, now)) toldAt.delete(row.domain)
    else if (now - (toldAt.get(row.domain) ?? -Infinity) >= DAY_MS) {
      toldAt.set(row.domain, now)
      onSoonDue(row.domain, daysLeft(row, now))
    }
  }

  /** Renews what is due now. Never rejects for what an authority says. */
  async function look(): Promise<void> {
    for (const row of rows.all()) {
      const isDue = row.autoRenew && row.nextTryAt !== null && row.nextTryAt <= runtime.now()
      if (isDue && !stopping.signal.aborted) await attempt(row)
    }
    if (!stopping.signal.aborted) rows.all().forEach(tellOf)
  }

  async function keepLooking(): Promise<void> {
    for (;;) {
      try {
        await look()
      } catch (error) {
        log.error({ error }, 'the certificates could not be looked after')
      }
      await runtime.sleep(intervalMs, stopping.signal)
    }
  }

  return {
    look,

    start(): void {
      // Ends by the abort alone.
      loop = keepLooking().catch(() => undefined)
    },

    async stop(): Promise<void> {
      stopping.abort()
      await loop
    },
  }
}
