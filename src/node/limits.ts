/** When a client or an inbound is to be refused, decided from what is known; and what a change of its limits means. */
import type { BlockReason } from '#src/contract/index.ts'
import type { ClientRecord } from './rows.ts'

export const DAY_MS = 24 * 60 * 60 * 1000

/**
 * Why it must be refused now; null: it may be used.
 * @param use bytes since its count last began anew, and how many addresses it is used from
 */
export function blockReason(
  limits: { limitBytes: number | null; expiresAt: number | null; ipLimit?: number | null },
  use: { bytes: number; addresses: number },
  now: number,
): BlockReason | null {
  if (limits.expiresAt !== null && now >= limits.expiresAt) return 'expired'
  if (limits.limitBytes !== null && use.bytes >= limits.limitBytes) return 'traffic'
  const { ipLimit = null } = limits
  return ipLimit !== null && use.addresses > ipLimit ? 'addresses' : null
}

/** What a client is asked to be, as far as it is about limits. Left out: as it is. */
export interface LimitChanges {
  limitBytes?: number | null | undefined
  expiresAt?: number | null | undefined
  lastsDays?: number | null | undefined
  resetDays?: number | null | undefined
  ipLimit?: number | null | undefined
}

type Limits = Pick<
  ClientRecord,
  'limitBytes' | 'expiresAt' | 'lastsDays' | 'resetDays' | 'nextResetAt' | 'ipLimit' | 'startedAt'
>

export const unlimited: Limits = {
  limitBytes: null,
  expiresAt: null,
  lastsDays: null,
  resetDays: null,
  nextResetAt: null,
  ipLimit: null,
  startedAt: null,
}

/**
 * Limits after a change. A date takes the place of days from first use, and the other way round: days that are given
 * anew begin with the next use. A period that stays the same goes on as it was counted.
 */
export function changedLimits(before: Limits, changes: LimitChanges, now: number): Limits {
  const { limitBytes = before.limitBytes, resetDays = before.resetDays, ipLimit = before.ipLimit } = changes
  const ends =
    changes.lastsDays !== undefined && changes.lastsDays !== null
      ? { lastsDays: changes.lastsDays, expiresAt: null, startedAt: null }
      : changes.expiresAt !== undefined
        ? { lastsDays: null, expiresAt: changes.expiresAt, startedAt: before.startedAt }
        : changes.lastsDays === null && before.lastsDays !== null
          ? { lastsDays: null, expiresAt: null, startedAt: before.startedAt }
          : { lastsDays: before.lastsDays, expiresAt: before.expiresAt, startedAt: before.startedAt }
  const nextResetAt =
    resetDays === before.resetDays ? before.nextResetAt : resetDays === null ? null : now + resetDays * DAY_MS
  return { limitBytes, resetDays, ipLimit, nextResetAt, ...ends }
}
