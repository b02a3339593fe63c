import type { Socket } from 'node:net'
import { tooManyRequests } from './refusal.ts'

/** Ways to make this Telegram fail, for tests and for the demo. */
export interface Faults {
  /** The next `count` calls (of `method`, or of any but getUpdates) are refused with 429 and `retry_after`. */
  rateLimit(count: number, retryAfterSeconds: number, method?: string): void
  /** True: Telegram is dead, every socket to it breaks. False: it is back, with everything it knew. */
  down(down: boolean): void
  /** The next `count` calls (of `method`, or of any but getUpdates) are done, but their answers never arrive. */
  loseAnswers(count: number, method?: string): void
}

interface Planned {
  left: number
  method: string | undefined
  retryAfterSeconds: number
}

/** What is to go wrong, and the sockets it can happen to. */
export class FaultPlan implements Faults {
  readonly #limits: Planned[] = []
  readonly #losses: Planned[] = []
  readonly #sockets = new Set<Socket>()
  #isDown = false

  get isDown(): boolean {
    return this.#isDown
  }

  rateLimit(count: number, retryAfterSeconds: number, method?: string): void {
    this.#limits.push({ left: count, method: method?.toLowerCase(), retryAfterSeconds })
  }

  loseAnswers(count: number, method?: string): void {
    this.#losses.push({ left: count, method: method?.toLowerCase(), retryAfterSeconds: 0 })
  }

  down(down: boolean): void {
    this.#isDown = down
    if (down) for (const socket of this.#sockets) socket.destroy()
  }

  /** Remembers a socket a bot came through. */
  track(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /** Throws the planned 429 for this call, if one is due. */
  checkRate(method: string): void {
    const due = take(this.#limits, method)
    if (due !== undefined) throw tooManyRequests(due.retryAfterSeconds)
  }

  /** True when this call's answer is to be lost. */
  losesAnswer(method: string): boolean {
    return take(this.#losses, method) !== undefined
  }
}

/** Uses up one planned fault for `method`. Polling is left alone unless it is named: it would eat them all. */
function take(plans: Planned[], method: string): Planned | undefined {
  const due = plans.find(
    (plan) => plan.left > 0 && (plan.method === undefined ? method !== 'getupdates' : plan.method === method),
  )
  if (due !== undefined) due.left -= 1
  return due
}
