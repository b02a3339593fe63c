import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type LimitKind, choiceOf, choicesFor, limitKinds, tapped, typed, typedAny } from './limit-choices.ts'
import { endInput, noLimits, parseBytes, parseEnd } from './limit-input.ts'
import { loadLanguages } from './i18n/texts.ts'

const { t } = loadLanguages().forCode('en')
const NOW = Date.UTC(2026, 10, 25, 12)
const DAY = 24 * 60 * 60 * 1000
const GB = 1024 ** 3

describe('limits as they are typed', () => {
  test.each([
    ['25', 25 * GB],
    [' 1.5 tb ', 1.5 * 1024 * GB],
    ['0,5GB', GB / 2],
    ['500 MB', 500 * 1024 ** 2],
    ['0', undefined],
    ['-1', undefined],
    ['1e3', undefined],
    ['9999999 TB', undefined],
    ['much', undefined],
  ])('%j is %j bytes', (text, bytes) => {
    expect(parseBytes(text, 'GB')).toBe(bytes)
  })

  test.each([
    ['45', { days: 45, until: null }],
    ['45 days', { days: 45, until: null }],
    ['1d', { days: 1, until: null }],
    ['2026-12-31', { days: null, until: Date.UTC(2026, 11, 31, 23, 59, 59) }],
    ['31.12.2026', { days: null, until: Date.UTC(2026, 11, 31, 23, 59, 59) }],
    // It ends with that day.
    ['2026-11-25', { days: null, until: Date.UTC(2026, 10, 25, 23, 59, 59) }],
    ['2026-11-24', undefined],
    ['2027-02-29', undefined],
    ['2027-13-01', undefined],
    ['0', undefined],
    ['3651', undefined],
    ['soon', undefined],
  ])('%j is an end: %j', (text, end) => {
    expect(parseEnd(text, NOW)).toEqual(end)
  })

  test('where all are asked for at once an amount has a unit, a bare number is days', () => {
    expect(typedAny(noLimits, '25 GB', NOW)).toEqual({ ...noLimits, limitBytes: 25 * GB })
    expect(typedAny(noLimits, '25', NOW)).toEqual({ ...noLimits, days: 25 })
    expect(typedAny(noLimits, 'a lot', NOW)).toBeUndefined()
  })

  test('an end as a server is told: a date, or days from the first use, never both', () => {
    expect(endInput({ days: 30, until: null, fromFirstUse: false }, NOW)).toEqual({
      expiresAt: NOW + 30 * DAY,
    })
    expect(endInput({ days: 30, until: null, fromFirstUse: true }, NOW)).toEqual({ lastsDays: 30 })
    expect(endInput({ days: null, until: 5, fromFirstUse: true }, NOW)).toEqual({ expiresAt: 5 })
    expect(endInput(noLimits, NOW)).toEqual({ expiresAt: null })
  })

  test('whatever is typed is taken whole or not at all', () => {
    fc.assert(
      fc.property(fc.constantFrom(...limitKinds), fc.string(), (kind, text) => {
        const draft = typed(noLimits, kind, text, NOW)
        if (draft !== undefined) expect(choiceOf(kind, draft, t)).not.toMatch(/NaN|undefined|Invalid/)
      }),
    )
  })
})

describe('limits as they are tapped', () => {
  test.each(limitKinds)('every button of %s is taken, and the last takes it away', (kind: LimitKind) => {
    const choices = choicesFor(kind, t)
    const drafts = choices.map(({ verb, arg = '' }) => tapped(noLimits, verb, arg))
    expect(drafts).not.toContain(undefined)
    expect(new Set(drafts.map((draft) => JSON.stringify(draft))).size).toBe(choices.length)
    expect(drafts.at(-1)).toEqual(noLimits)
  })

  test('what is no button of these is nothing', () => {
    expect(tapped(noLimits, 'traffic', '-5')).toBeUndefined()
    expect(tapped(noLimits, 'traffic', 'x')).toBeUndefined()
    expect(tapped(noLimits, 'other', '1')).toBeUndefined()
  })
})
