import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'

export interface TickingDeps {
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>
  log: Log
  /** From one beginning to the next; where the steps take longer, they begin again soon after. */
  intervalMs: number
  /** What is done each time, or no more often than every so many ms; in this order, with a name for the log. */
  steps: readonly (readonly [name: string, step: () => void | Promise<void>, everyMs?: number])[]
}

/** What a node does again and again with nobody watching. A step that fails does not keep the others from their turn. */
export function createTicking({ runtime, log, intervalMs, steps }: TickingDeps) {
  const stopping = new AbortController()
  let ticking: Promise<void> = Promise.resolve()

  async function keepOn(): Promise<void> {
    let took = 0
    const startedAt = runtime.monotonic()
    const lastBegun = new Map<string, number>()
    for (;;) {
      // Not at once in any case: others are to have their turn.
      await runtime.sleep(Math.max(intervalMs / 10, intervalMs - took), stopping.signal)
      const begunAt = runtime.monotonic()
      for (const [name, step, everyMs = 0] of steps) {
        const now = runtime.monotonic()
        if (now - (lastBegun.get(name) ?? startedAt) < everyMs) continue
        lastBegun.set(name, now)
        try {
          await step()
        } catch (error) {
          log.error({ error, step: name }, 'a step of what a node does by itself failed')
        }
      }
      took = runtime.monotonic() - begunAt
    }
  }

  return {
    start(): void {
      // Ends by the abort alone.
      ticking = keepOn().catch(() => undefined)
    },
    /** Resolves when what is under way is done. */
    async stop(): Promise<void> {
      stopping.abort()
      await ticking
    },
  }
}
