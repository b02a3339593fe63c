/** Limits of a client as a person gives them: by a button, or typed. */
import { DAY_MS } from '#src/runtime.ts'

/** As the contract has them. */
export const most = { days: 3_650, addresses: 1_000, resetDays: 366 } as const

/** Limits that are being chosen. JSON: they stand in drafts. */
export interface LimitsDraft {
  limitBytes: number | null
  /** How long: so many days, from now or from the first use, or until a moment (ms). Neither: without an end. */
  days: number | null
  until: number | null
  fromFirstUse: boolean
  ipLimit: number | null
  resetDays: number | null
}

export const noLimits: LimitsDraft = {
  limitBytes: null,
  days: null,
  until: null,
  fromFirstUse: false,
  ipLimit: null,
  resetDays: null,
}

/** When it ends, as a server is told. A date takes the place of days from the first use, and the other way round. */
export function endInput(
  { days, until, fromFirstUse }: Pick<LimitsDraft, 'days' | 'until' | 'fromFirstUse'>,
  now: number,
): { lastsDays: number } | { expiresAt: number | null } {
  if (days !== null && fromFirstUse) return { lastsDays: days }
  return { expiresAt: until ?? (days === null ? null : now + days * DAY_MS) }
}

const powers = { MB: 2, GB: 3, TB: 4 } as const

/** @param count in the unit, which may be a fraction */
export function bytesOf(count: number, unit: keyof typeof powers): number {
  return Math.round(count * 1024 ** powers[unit])
}

/** Bytes as they are typed: `1.5 TB`, `500 mb`. @param bare what a number without a unit is; left out: nothing */
export function parseBytes(text: string, bare?: 'GB'): number | undefined {
  const [, number, given = bare] = /^(\d{1,7}(?:[.,]\d{1,3})?)\s*([mgt]b)?$/i.exec(text.trim()) ?? []
  if (number === undefined || given === undefined) return undefined
  const bytes = bytesOf(Number(number.replace(',', '.')), given.toUpperCase() as keyof typeof powers)
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined
}

/** A whole number from 1 on. */
export function parseCount(text: string, atMost: number): number | undefined {
  const count = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0
  return count >= 1 && count <= atMost ? count : undefined
}

/** An end as it is typed: days, or a date that has not passed, `2026-12-31` or `31.12.2026`; it ends with that day. */
export function parseEnd(text: string, now: number): Pick<LimitsDraft, 'days' | 'until'> | undefined {
  const days = parseCount(text.trim().replace(/\s*d(ays?)?$/i, ''), most.days)
  if (days !== undefined) return { days, until: null }
  const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(text.trim())
  const dotted = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(text.trim())
  const [year, month, day] = iso?.slice(1).map(Number) ?? dotted?.slice(1).map(Number).toReversed() ?? []
  if (year === undefined || month === undefined || day === undefined) return undefined
  const until = Date.UTC(year, month - 1, day, 23, 59, 59)
  // The 31st of a month that has none is the 1st of the next to JavaScript.
  const isReal = new Date(until).getUTCDate() === day && new Date(until).getUTCMonth() === month - 1
  return isReal && until > now ? { days: null, until } : undefined
}
