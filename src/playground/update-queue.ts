import type { Runtime } from '../runtime.ts'
import { Refusal } from './refusal.ts'

/** An update: its id and exactly one payload named for its type. */
export interface Update {
  update_id: number
  [payload: string]: unknown
}

export interface PollRequest {
  offset: number
  /** 1 to 100. */
  limit: number
  timeoutSeconds: number
  /** Update types wanted from now on; undefined keeps the previous choice. */
  allowed: readonly string[] | undefined
  /** Aborted when the bot hung up: nobody is there to take the answer. */
  gone: AbortSignal
}

/** The three types Telegram sends only to bots that ask for them by name. */
const OPT_IN = new Set(['chat_member', 'message_reaction', 'message_reaction_count'])
const CONFLICT =
  'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running'

interface Waiter {
  wake(): void
  fail(error: Error): void
}

/**
 * The bot's queue of updates. An update stays until a later poll confirms it by a higher offset, so what a killed
 * poller had in hand comes again.
 */
export class UpdateQueue {
  readonly #runtime: Runtime
  readonly #pending: Update[] = []
  #allowed: readonly string[] = []
  #nextId: number
  #waiter: Waiter | undefined

  constructor(runtime: Runtime) {
    this.#runtime = runtime
    // Telegram's ids begin anywhere; starting high finds code that takes small ids for granted.
    this.#nextId = 100_000_000 + runtime.randomBytes(3).readUIntBE(0, 3)
  }

  get pendingCount(): number {
    return this.#pending.length
  }

  get allowed(): readonly string[] {
    return this.#allowed
  }

  /** Queues an update unless the bot did not ask for its type. */
  push(type: string, payload: unknown): void {
    const wanted = this.#allowed.length === 0 ? !OPT_IN.has(type) : this.#allowed.includes(type)
    if (!wanted) return
    this.#pending.push({ update_id: this.#nextId++, [type]: payload })
    this.#waiter?.wake()
  }

  /** Forgets everything not yet confirmed. */
  drop(): void {
    this.#pending.length = 0
  }

  /**
   * getUpdates: confirms everything before `offset`, then answers at once when there is something and otherwise
   * holds the call. The newer of two held calls wins and the older one gets the 409, as in Telegram's server.
   */
  async poll(request: PollRequest): Promise<Update[]> {
    if (request.allowed !== undefined) this.#allowed = request.allowed
    this.#confirm(request.offset)
    if (this.#pending.length === 0 && request.timeoutSeconds > 0) {
      this.#waiter?.fail(new Refusal(409, CONFLICT))
      await this.#hold(request.timeoutSeconds * 1000, request.gone)
    }
    return this.#pending.slice(0, request.limit)
  }

  #confirm(offset: number): void {
    if (offset < 0) {
      // A negative offset counts from the end and forgets what is before it.
      this.#pending.splice(0, Math.max(this.#pending.length + offset, 0))
      return
    }
    while (this.#pending[0] !== undefined && this.#pending[0].update_id < offset) this.#pending.shift()
  }

  /** Ends with the first of: an update, the time, the caller hanging up; rejects when a newer poll takes over. */
  async #hold(ms: number, gone: AbortSignal): Promise<void> {
    const over = new AbortController()
    let conflict: Error | undefined
    const waiter: Waiter = {
      wake: () => over.abort(),
      fail: (error) => {
        conflict = error
        over.abort()
      },
    }
    this.#waiter = waiter
    try {
      await this.#runtime.sleep(ms, AbortSignal.any([over.signal, gone]))
    } catch {
      // Cut short, by any of the above but the time: not an error here.
    } finally {
      if (this.#waiter === waiter) this.#waiter = undefined
    }
    if (conflict !== undefined) throw conflict
  }
}
