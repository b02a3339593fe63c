/** When a client or an inbound is to be refused, decided from what is known; and what a change of its limits means. */
import type { BlockReason } from '#src/contract/index.ts'
import { DAY_MS } from '#src/runtime.ts'
import { nextOnGrid, nextPeriod } from './periods.ts'
import type { ClientRecord, InboundRecord } from '../rows/records.ts'

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

/** What of a client decides whether it is let in. */
export type ClientLimits = Limits & Pick<ClientRecord, 'blocked'>
export type InboundLimits = Pick<
  InboundRecord,
  'limitBytes' | 'expiresAt' | 'trafficReset' | 'nextResetAt' | 'blocked'
>

/** How much of a client's limits is used up. */
export interface ClientUse {
  /** Since its count last began anew. */
  bytes: number
  /** Whether it has moved anything since days from first use were last given. */
  isUsed: boolean
  /** From how many addresses it is used now; null: Xray did not tell. */
  addresses: number | null
}

/** What becomes of limits at a moment; `resets`: its count begins anew. */
type Judged<T> = T & { resets: boolean }

/**
 * What a client's limits are at this moment. Counted anew first, then begun, then held against the limits: whoever
 * has used up last month's bytes is let in on the first.
 */
export function judgeClient<T extends ClientLimits>(row: T, use: ClientUse, now: number): Judged<T> {
  const begins = row.startedAt === null && use.isUsed
  const ends = begins && row.lastsDays !== null ? { expiresAt: now + row.lastsDays * DAY_MS } : {}
  const isDue = row.nextResetAt !== null && now >= row.nextResetAt
  const nextResetAt =
    row.nextResetAt === null || row.resetDays === null
      ? row.nextResetAt
      : nextOnGrid(row.nextResetAt, row.resetDays * DAY_MS, now)
  const next = { ...row, ...ends, nextResetAt, startedAt: begins ? now : row.startedAt }
  // Not told, they are as they were.
  const addresses = use.addresses ?? (row.blocked === 'addresses' ? Infinity : 0)
  const blocked = blockReason(next, { bytes: isDue ? 0 : use.bytes, addresses }, now)
  return { ...next, blocked, resets: isDue }
}

/** @param bytes moved since its count last began anew */
export function judgeInbound<T extends InboundLimits>(row: T, bytes: number, now: number): Judged<T> {
  const isDue = row.trafficReset !== 'never' && row.nextResetAt !== null && now >= row.nextResetAt
  const next = nextPeriod(row.trafficReset, now)
  const afterNext = next === null ? null : nextPeriod(row.trafficReset, next)
  // Further off than that it was set by a clock that was wrong.
  const isAstray = row.nextResetAt !== null && afterNext !== null && row.nextResetAt > afterNext
  const nextResetAt = isDue || row.nextResetAt === null ? next : isAstray ? afterNext : row.nextResetAt
  const blocked = blockReason(row, { bytes: isDue ? 0 : bytes, addresses: 0 }, now)
  return { ...row, nextResetAt, blocked, resets: isDue }
}
