import type { BackupCalls } from '#src/contract/index.ts'
import { inspectBackup } from '#src/node/backup/format.ts'
import type { StreamedOperations } from '#src/node/operations.ts'
import { relayed, type StreamedCall, streamedCall, watched } from './streamed-call.ts'

/** Backups of the node of this process. */
export function createLocalBackups(options: {
  operations: StreamedOperations
  runtime: StreamedCall<'backups.create'>['runtime']
  /** What was thrown, as the caller is to hear it. */
  words: (error: unknown, operation: string) => Error
}): BackupCalls {
  const { operations, runtime, words } = options

  return {
    async create(input, { signal } = {}) {
      const name = 'backups.create'
      try {
        return await streamedCall({ name, input, signal, runtime }, async (parsed, gone) => {
          const file = await inspectBackup(await operations[name](parsed))
          const stream = relayed(file.stream, { failed: (error) => words(error, name) })
          if (gone.aborted) await stream.return?.()
          return { ...file, stream }
        })
      } catch (error) {
        if (signal?.aborted === true && error === signal.reason) throw error
        throw words(error, name)
      }
    },

    async restore(input, file, { signal, context = {} } = {}) {
      const name = 'backups.restore'
      let failure: (() => unknown) | undefined
      try {
        return await streamedCall({ name, input, context, signal, runtime }, async (parsed, gone) => {
          const sent = watched(file, gone)
          failure = () => sent.failure()
          return structuredClone(await operations[name](parsed, context, sent.stream))
        })
      } catch (error) {
        if (signal?.aborted === true && error === signal.reason) throw error
        // What is wrong with the caller's own file the caller knows best.
        throw failure?.() ?? words(error, name)
      }
    },
  }
}
