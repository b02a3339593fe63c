import { expect } from 'vitest'
import { type Runtime, systemRuntime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { Pebble } from './pebble.ts'

/** ms. An order looks again sooner than that, and gives up later. */
const LONGEST_LOOK_AGAIN = 60_000
const patience = { timeout: 20_000 }

/** A clock with which an order can be made to stand still while the authority decides, for as long as a test likes. */
export interface StandingClock extends Runtime {
  /**
   * From now on an order that waits for the authority waits for `release` too. `reached` resolves once the order of a
   * domain is at that point. The order is by an account that has proven nothing yet: told never to remember what was
   * proven, Pebble does so in one order of a hundred all the same (wfe.go compares with >), and asks nobody then.
   * @param db the node's
   */
  hold(pebble: Pebble, db: Sqlite): { reached(domain: string): Promise<void>; release(): void }
}

export function standingClock(base: Runtime = systemRuntime()): StandingClock {
  let gate: PromiseWithResolvers<void> | undefined
  let waiting = 0
  return {
    ...base,
    async sleep(ms, signal) {
      if (gate !== undefined && ms < LONGEST_LOOK_AGAIN) {
        waiting++
        await Promise.race([gate.promise, aborted(signal)])
      }
      return base.sleep(ms, signal)
    },
    hold(pebble, db) {
      db.prepare("delete from settings where key = 'acme.account'").run()
      const mine = Promise.withResolvers<void>()
      gate = mine
      waiting = 0
      pebble.dns.asked.length = 0
      // Only until the order has seen that nothing is decided: Pebble's patience with a name server is short.
      const answer = pebble.dns.hold()
      return {
        async reached(domain) {
          await expect.poll(() => pebble.dns.asked, patience).toContain(domain)
          await expect.poll(() => waiting, patience).toBeGreaterThan(0)
          answer()
        },
        release() {
          gate = undefined
          mine.resolve()
        },
      }
    },
  }
}

/** Resolves: it is for the sleep that follows to say why it ends. */
function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve()
    signal?.addEventListener('abort', () => resolve(), { once: true })
  })
}
