import type { Inbound } from '#src/contract/index.ts'

/**
 * When the period that holds `now` ends, ms: midnight UTC, the next Monday, the first of the next month; null: never.
 * UTC, so that a machine whose time zone is changed resets neither twice nor never.
 */
export function nextPeriod(every: Inbound['trafficReset'], now: number): number | null {
  const date = new Date(now)
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
  switch (every) {
    case 'never':
      return null
    case 'daily':
      return Date.UTC(year, month, day + 1)
    case 'weekly':
      // Weeks begin on Mondays (ISO 8601); JavaScript counts days from Sunday.
      return Date.UTC(year, month, day + (7 - ((date.getUTCDay() + 6) % 7)))
    case 'monthly':
      return Date.UTC(year, month + 1, 1)
  }
}

/**
 * The next of moments that are `period` ms apart, `planned` being one of them: it itself while it lies ahead, and the
 * first that does once it has passed, however many were missed. One that is more than two periods off was set by a
 * clock that was wrong: then the last within two, since within one its count could begin anew twice for one period.
 */
export function nextOnGrid(planned: number, period: number, now: number): number {
  const ahead = planned - now
  if (ahead <= 0) return planned + (Math.floor(-ahead / period) + 1) * period
  return ahead <= 2 * period ? planned : planned - (Math.ceil(ahead / period) - 2) * period
}
