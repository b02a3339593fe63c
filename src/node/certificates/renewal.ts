import { DAY_MS } from '#src/runtime.ts'
/** When a certificate is renewed, tried again, or worth a word. Pure; times are ms, `chance` is 0 to 1. */

interface Life {
  notBefore: number
  notAfter: number
}

const HOUR_MS = 60 * 60 * 1000
/** After the first failure; doubled with each, since an authority counts failures too (5 an hour at Let's Encrypt). */
const FIRST_RETRY_MS = HOUR_MS
const LONGEST_RETRY_MS = 12 * HOUR_MS
/** What nobody renews by itself is said so long before its end. */
const SOON_MS = 14 * DAY_MS

/**
 * When less than a third of its life is left, as Let's Encrypt asks for, and up to a 48th later (almost two days of 90),
 * so that servers that began together do not renew together. With a clock that is far ahead it would be due at once for
 * ever: some time has to pass in any case.
 */
export function renewalAt({ notBefore, notAfter }: Life, now: number, chance: number): number {
  const life = notAfter - notBefore
  return Math.round(Math.max(notAfter - life / 3 + (chance * life) / 48, now + life / 10))
}

/**
 * When to try again after a failure.
 * @param failures one after the other, this one included
 * @param askedWait seconds the authority wants to be left alone, if it said so
 */
export function retryAt(failures: number, now: number, chance: number, askedWait = 0): number {
  const wait = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS)
  return Math.round(now + Math.max(wait * (1 + chance / 10), askedWait * 1000))
}

/** Whole days until the end; negative after it. */
export function daysLeft({ notAfter }: Pick<Life, 'notAfter'>, now: number): number {
  return Math.floor((notAfter - now) / DAY_MS)
}

/**
 * Whether somebody should look after it: one that renews itself once that has failed for half of the time there was for
 * it, any other two weeks before its end.
 */
export function isSoonDue(certificate: Life & { autoRenew: boolean }, now: number): boolean {
  const { notBefore, notAfter, autoRenew } = certificate
  const share = (notAfter - notBefore) / 6
  return notAfter - now < (autoRenew ? share : Math.min(SOON_MS, share))
}
