/** Limits of a client as a person would reckon them on paper, from what was agreed and what was used. */
export interface LimitsAsked {
  limitBytes?: number | null
  expiresAt?: number | null
  lastsDays?: number | null
  resetDays?: number | null
  ipLimit?: number | null
  enabled?: boolean
}

const DAY = 24 * 60 * 60 * 1000

export class LimitsOnPaper {
  agreed: Required<LimitsAsked> = {
    limitBytes: null,
    expiresAt: null,
    lastsDays: null,
    resetDays: null,
    ipLimit: null,
    enabled: true,
  }
  used = 0
  /** Moved, but not read yet. */
  unread = 0
  started: number | null = null
  nextReset: number | null = null
  addresses = 0
  /** Why it is refused since it was last looked at. */
  reason: 'expired' | 'traffic' | 'addresses' | null = null
  #hasMoved = false

  edit(asked: LimitsAsked, now: number): void {
    if (asked.resetDays !== undefined && asked.resetDays !== this.agreed.resetDays)
      this.nextReset = asked.resetDays === null ? null : now + asked.resetDays * DAY
    const { expiresAt, lastsDays, ...rest } = asked
    Object.assign(this.agreed, rest)
    if (typeof lastsDays === 'number') {
      Object.assign(this.agreed, { lastsDays, expiresAt: null })
      this.started = null
      // They begin with the next use.
      this.#hasMoved = false
    } else if (expiresAt !== undefined) Object.assign(this.agreed, { lastsDays: null, expiresAt })
    else if (lastsDays === null && this.agreed.lastsDays !== null)
      Object.assign(this.agreed, { lastsDays: null, expiresAt: null })
    // Addresses are looked at with the next look.
    this.reason = null
  }

  /**
   * The counters are read, and limits looked at.
   * @param mayBeLater nothing begins before it is known how late it is
   * @param isTold whether Xray tells who is connected
   */
  look(now: number, { mayBeLater, isTold }: { mayBeLater: boolean; isTold: boolean }): void {
    if (this.unread > 0) this.#hasMoved = true
    this.used += this.unread
    this.unread = 0
    const { resetDays, lastsDays } = this.agreed
    if (this.nextReset !== null && resetDays !== null) {
      const period = resetDays * DAY
      if (this.nextReset <= now) this.used = 0
      while (this.nextReset <= now) this.nextReset += period
      // So far off it was set by a clock that was ahead.
      while (this.nextReset > now + 2 * period) this.nextReset -= period
    }
    if (this.started === null && this.#hasMoved && !mayBeLater) {
      this.started = now
      if (lastsDays !== null) this.agreed.expiresAt = now + lastsDays * DAY
    }
    // Not told, they are as they were.
    const untold = this.reason === 'addresses' ? Infinity : 0
    this.reason = this.refusal(now, isTold ? this.addresses : untold)
  }

  /** Why it is refused, or null. @param addresses null: whoever is connected, it is not looked at */
  refusal(now: number, addresses: number | null): 'expired' | 'traffic' | 'addresses' | null {
    const { limitBytes, expiresAt, ipLimit } = this.agreed
    if (expiresAt !== null && expiresAt <= now) return 'expired'
    if (limitBytes !== null && this.used >= limitBytes) return 'traffic'
    return ipLimit !== null && addresses !== null && addresses > ipLimit ? 'addresses' : null
  }
}
