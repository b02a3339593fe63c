import type { BackupFile, RestoreReport, ServerConnector } from '#src/contract/index.ts'
import { relayed } from '#src/connectors/streamed-call.ts'
import { inspectBackup } from '#src/node/backup/format.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { createAudit } from './audit.ts'
import { createDeletions } from './deletions.ts'
import type { Journal } from './journal.ts'
import type { Actor } from './types.ts'

/** Backups of a server. Who asked for one, and what became of it, is in the journal. */
export interface Backups {
  /**
   * The file, as it comes from the server; read to its end, or returned from. Only one that has come to its end is one.
   * @throws FleetError SERVER_NOT_FOUND and what else a connection throws, also while it is read
   */
  create(request: {
    serverId: number
    /** At least 8 characters. Not kept anywhere. */
    passphrase: string
    actor: Actor
    signal?: AbortSignal
  }): Promise<BackupFile>
  /**
   * Everything as it was then, but for what was deleted since, and what is there since.
   * @throws FleetError NOT_A_BACKUP, BACKUP_PASSPHRASE_WRONG, BACKUP_DAMAGED, BACKUP_TOO_NEW, BACKUP_OTHER_KEY: nothing
   *   was changed; what else a connection throws
   */
  restore(request: {
    serverId: number
    passphrase: string
    /** The key of the machine it was made on, base64, where that is another. Not kept anywhere. */
    key?: string
    file: AsyncIterable<Uint8Array>
    actor: Actor
    /** Makes the request repeatable, with the same file: what was done is told, not done again. */
    id?: string
    signal?: AbortSignal
  }): Promise<RestoreReport>
}

/** Backups of any server, on record, and put back with what this controller has deleted since. */
export function createBackups(deps: {
  sqlite: Sqlite
  journal: Journal
  runtime: Pick<Runtime, 'now' | 'uuid'>
  /** @throws FleetError as the fleet's `connectorFor` */
  connector: (serverId: number) => ServerConnector
  /** Resolves when the mirror shows what the server holds now. Never rejects. */
  mirrored: (serverId: number) => Promise<void>
}): Backups {
  const { sqlite, journal, runtime, connector, mirrored } = deps
  const onRecord = createAudit({ sqlite, journal, runtime })
  const deletedSince = createDeletions(sqlite)

  return {
    async create({ serverId, passphrase, actor, signal }) {
      const { backups } = connector(serverId)
      const record = onRecord({ id: runtime.uuid(), serverId, operation: 'backups.create', input: {}, actor })
      try {
        const file = await backups.create({ passphrase }, signal === undefined ? {} : { signal })
        const stream = relayed(file.stream, {
          ended: () => record.applied(),
          left: () => record.cancelled(),
          failed(error) {
            record.failed(error)
            return error
          },
        })
        return { ...file, stream }
      } catch (error) {
        record.failed(error)
        throw error
      }
    },

    async restore({ serverId, file, actor, id = runtime.uuid(), signal, ...secrets }) {
      const { backups } = connector(serverId)
      const { stream, ...input } = await inspectBackup(file)
      const record = onRecord({ id, serverId, operation: 'backups.restore', input, actor })
      const deleted = deletedSince(serverId, input.createdAt)
      const options = { context: { idempotencyKey: id }, ...(signal === undefined ? {} : { signal }) }
      const report = await backups
        .restore({ ...secrets, deleted }, stream, options)
        .catch((error: unknown) => {
          record.failed(error)
          throw error
        })
      record.applied()
      await mirrored(serverId)
      return report
    },
  }
}
