import { fail } from '#src/errors.ts'

/**
 * What a change needs first and takes too long for the queue of changes, such as an order with an authority. Asked for
 * again under its key meanwhile, it is joined: it never runs twice at a time.
 */
export function createPreparations() {
  const running = new Map<string, { inputHash: string; work: Promise<unknown> }>()
  return {
    /** @throws FleetError IDEMPOTENCY_CONFLICT at once, when other work is under way under this key */
    begin<T>(key: string, inputHash: string, prepare: () => Promise<T>): Promise<T> {
      const present = running.get(key)
      if (present !== undefined) {
        if (present.inputHash !== inputHash) fail('IDEMPOTENCY_CONFLICT')
        return present.work as Promise<T>
      }
      const work = prepare().finally(() => running.delete(key))
      running.set(key, { inputHash, work })
      return work
    },

    /** Resolves when nothing is under way any more. */
    async settled(): Promise<void> {
      await Promise.allSettled([...running.values()].map(({ work }) => work))
    },
  }
}
