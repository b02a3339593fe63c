import type { Sqlite } from '#src/store/open.ts'

/** Work that is committed together with what else comes in the same turn of the event loop. */
export type GroupCommit = <T>(work: () => T) => Promise<T>

/**
 * A commit waits for the disk. A change on a thousand servers makes thousands of small ones within moments: one
 * transaction per turn instead of one per row keeps the bot answering meanwhile.
 */
export function createGroupCommit(sqlite: Sqlite): GroupCommit {
  let waiting: { run: () => void; done: () => void; failed: (error: unknown) => void }[] = []

  function flush(): void {
    const group = waiting
    waiting = []
    try {
      sqlite
        .transaction(() => {
          for (const { run } of group) run()
        })
        .immediate()
      for (const { done } of group) done()
    } catch (error) {
      if (group.length === 1) return group[0]?.failed(error)
      // One bad member must not take the others with it: each alone.
      for (const member of group) {
        try {
          sqlite.transaction(member.run).immediate()
          member.done()
        } catch (own) {
          member.failed(own)
        }
      }
    }
  }

  return <T>(work: () => T) =>
    new Promise<T>((resolve, reject) => {
      let result: { value: T } | undefined
      waiting.push({
        run: () => {
          result = { value: work() }
        },
        done: () => {
          if (result !== undefined) resolve(result.value)
        },
        failed: reject,
      })
      if (waiting.length === 1) setImmediate(flush)
    })
}
