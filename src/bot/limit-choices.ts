/** The questions about limits: what can be tapped, and what can be typed. */
import { day, bytes } from './format.ts'
import type { T } from './i18n/texts.ts'
import { type LimitsDraft, bytesOf, most, parseBytes, parseCount, parseEnd } from './limit-input.ts'
import type { Choice } from './wizards/wizard.ts'

export const limitKinds = ['traffic', 'end', 'addresses', 'period'] as const
export type LimitKind = (typeof limitKinds)[number]

// Three each: more words than that do not fit beside each other on a phone. Anything else can be typed.
const GIGABYTES = [10, 50, 100] as const
const DAYS = [7, 30, 90] as const
const ADDRESSES = [1, 2, 3] as const
const PERIODS = [1, 7, 30] as const

/** What is chosen, in words: `50 GB`, `30 days from the first use`, or that there is no such limit. */
export function choiceOf(kind: LimitKind, draft: LimitsDraft, t: T): string {
  switch (kind) {
    case 'traffic':
      return draft.limitBytes === null ? t('limits.free') : bytes(draft.limitBytes)
    case 'end':
      if (draft.until !== null) return t('limits.untilDay', { day: day(draft.until) })
      if (draft.days === null) return t('limits.free')
      return t(draft.fromFirstUse ? 'limits.daysFromFirstUse' : 'limits.daysFromNow', { count: draft.days })
    case 'addresses':
      return draft.ipLimit === null ? t('limits.free') : t('limits.atOnce', { count: draft.ipLimit })
    case 'period':
      return draft.resetDays === null ? t('limits.never') : t('limits.everyDays', { count: draft.resetDays })
  }
}

/** Buttons of a limit. The verb is the kind, the argument the number, 0 for none. */
export function choicesFor(kind: LimitKind, t: T): Choice[] {
  const choice = (text: string, arg: number): Choice => ({ text, verb: kind, arg: String(arg) })
  switch (kind) {
    case 'traffic':
      return [...GIGABYTES.map((count) => choice(`${count} GB`, count)), choice(t('limits.noLimit'), 0)]
    case 'end':
      return [
        ...DAYS.map((count) => choice(t('limits.days', { count }), count)),
        choice(t('limits.neverEnds'), 0),
      ]
    case 'addresses':
      return [
        ...ADDRESSES.map((count) => choice(t('limits.atOnce', { count }), count)),
        choice(t('limits.noLimit'), 0),
      ]
    case 'period':
      return [
        ...PERIODS.map((count) => choice(t('limits.days', { count }), count)),
        choice(t('limits.noReset'), 0),
      ]
  }
}

/** The switch between days from now and from the first use. */
export function firstUseChoice(draft: LimitsDraft, t: T): Choice {
  return { text: `${draft.fromFirstUse ? '☑' : '☐'} ${t('limits.firstUse')}`, verb: 'firstUse' }
}

/** The draft after a tap; undefined for a button that is not one of these. */
export function tapped(draft: LimitsDraft, verb: string, arg: string): LimitsDraft | undefined {
  const count = Number(arg)
  if (verb === 'firstUse') return { ...draft, fromFirstUse: !draft.fromFirstUse }
  if (!Number.isSafeInteger(count) || count < 0) return undefined
  const value = count === 0 ? null : count
  switch (verb) {
    case 'traffic':
      return { ...draft, limitBytes: value === null ? null : bytesOf(value, 'GB') }
    case 'end':
      return { ...draft, days: value, until: null }
    case 'addresses':
      return { ...draft, ipLimit: value }
    case 'period':
      return { ...draft, resetDays: value }
    default:
      return undefined
  }
}

/** The draft after something was typed as this limit; undefined where it is none. */
export function typed(
  draft: LimitsDraft,
  kind: LimitKind,
  text: string,
  now: number,
): LimitsDraft | undefined {
  const taken = ((): Partial<LimitsDraft> | undefined => {
    switch (kind) {
      case 'traffic':
        return only('limitBytes', parseBytes(text, 'GB'))
      case 'end':
        return parseEnd(text, now)
      case 'addresses':
        return only('ipLimit', parseCount(text, most.addresses))
      case 'period':
        return only('resetDays', parseCount(text, most.resetDays))
    }
  })()
  return taken === undefined ? undefined : { ...draft, ...taken }
}

/** What was typed where all limits are asked for at once: bytes have a unit there, a bare number is days. */
export function typedAny(draft: LimitsDraft, text: string, now: number): LimitsDraft | undefined {
  const limitBytes = parseBytes(text)
  if (limitBytes !== undefined) return { ...draft, limitBytes }
  return typed(draft, 'end', text, now)
}

function only<K extends keyof LimitsDraft>(
  key: K,
  value: LimitsDraft[K] | undefined,
): Partial<LimitsDraft> | undefined {
  return value === undefined ? undefined : ({ [key]: value } as Partial<LimitsDraft>)
}
