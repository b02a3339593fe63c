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
