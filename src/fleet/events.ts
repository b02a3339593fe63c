/** A small typed emitter. */
export interface Emitter<Events extends object> {
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void
  /** Tells every listener in the next microtask, so that nobody hears of a change inside the transaction making it. */
  emit<E extends keyof Events>(event: E, value: Events[E]): void
}

/** @param onError a listener's own failure goes here: it is no business of whoever made the change */
export function createEmitter<Events extends object>(onError: (error: unknown) => void): Emitter<Events> {
  const listeners = new Map<keyof Events, Set<(value: never) => void>>()
  return {
    on(event, listener) {
      const set = listeners.get(event) ?? new Set()
      listeners.set(event, set)
      set.add(listener)
      return () => set.delete(listener)
    },
    emit(event, value) {
      queueMicrotask(() => {
        for (const listener of listeners.get(event) ?? []) {
          try {
            listener(value as never)
          } catch (error) {
            onError(error)
          }
        }
      })
    },
  }
}
