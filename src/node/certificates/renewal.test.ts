import { describe, expect, it } from 'vitest'
import { daysLeft, isSoonDue, renewalAt, retryAt } from './renewal.ts'

const HOUR = 60 * 60 * 1000
const DAY = 24 * HOUR
const now = 1_900_000_000_000
const lasting = (days: number) => ({ notBefore: now, notAfter: now + days * DAY })

describe('renewing', () => {
  it.each([
    [90, 0, 60 * DAY],
    [90, 1, 60 * DAY + 45 * HOUR],
    [6, 0, 4 * DAY],
    [6, 1, 4 * DAY + 3 * HOUR],
  ])(
    'a certificate of %s days is renewed with a third of its life left, %s of the spread later',
    (days, chance, after) => {
      expect(renewalAt(lasting(days), now, chance) - now).toBe(after)
    },
  )

  it('one that is due the moment it is given is given some time all the same', () => {
    const clockAhead = now + 85 * DAY
    expect(renewalAt(lasting(90), clockAhead, 0) - clockAhead).toBe(9 * DAY)
  })
})

describe('after a failure', () => {
  it('is tried again after an hour, then after twice as long each time, up to 12 hours', () => {
    const waits = [1, 2, 3, 4, 5, 6, 100].map((failures) => (retryAt(failures, now, 0) - now) / HOUR)
    expect(waits).toEqual([1, 2, 4, 8, 12, 12, 12])
  })

  it('is spread over a tenth of that', () => {
    expect(retryAt(2, now, 1) - now).toBe(132 * 60 * 1000)
  })

  it('waits for as long as the authority asks, but not less than otherwise', () => {
    expect(retryAt(1, now, 0, 30 * 60 * 60) - now).toBe(30 * HOUR)
    expect(retryAt(1, now, 0, 5) - now).toBe(HOUR)
  })
})

describe('the end', () => {
  it('is told in whole days', () => {
    expect(daysLeft({ notAfter: now + 2 * DAY - 1 }, now)).toBe(1)
    expect(daysLeft({ notAfter: now + 1 }, now)).toBe(0)
    expect(daysLeft({ notAfter: now - 1 }, now)).toBe(-1)
  })

  it.each([
    ['imported', false, 365, 14],
    ['imported, a short one', false, 30, 5],
    ['renewed by itself, but that fails', true, 90, 15],
    ['renewed by itself, a short one', true, 6, 1],
  ])('is soon: %s', (_kind, autoRenew, days, from) => {
    const certificate = { ...lasting(days), autoRenew }
    expect(isSoonDue(certificate, certificate.notAfter - from * DAY)).toBe(false)
    expect(isSoonDue(certificate, certificate.notAfter - from * DAY + 1)).toBe(true)
    expect(isSoonDue(certificate, certificate.notAfter + DAY)).toBe(true)
  })
})
