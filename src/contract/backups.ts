/**
 * A server's backup, made and put back. Beside the rest of the contract, since a file is streamed, not buffered: what
 * is known of these operations is said here, and each connector carries them by itself.
 */
import { z } from 'zod'
import { certificateDomain } from './certificates.ts'
import type { CallContext } from './contract.ts'
import type { OperationMeta } from './meta.ts'
import { email, inboundRef, timestamp } from './primitives.ts'

/** The largest file that is given out or taken in, bytes: some millions of clients. */
export const MAX_BACKUP_BYTES = 1024 ** 3

const minutes = 60_000

/** It opens every secret of a server, so it is at least as long as one that is not guessed within hours. */
const passphrase = z.string().min(8).max(1_024)

export const createBackupInput = z.strictObject({ passphrase })
export type CreateBackup = z.input<typeof createBackupInput>

/** Deleted at this moment, ms: what was made later under the same name is another. Left out: there is no other. */
const at = timestamp.optional()

export const restoreBackupInput = z.strictObject({
  passphrase,
  /** The key of the server the backup comes from, 32 bytes in base64, where this server has another. */
  key: z
    .string()
    .regex(/^[A-Za-z0-9+/]{43}=$/, '32 bytes in base64')
    .optional(),
  /** What was deleted since, and must not come back. A server that is new knows nothing of it. */
  deleted: z
    .strictObject({
      clients: z.array(z.strictObject({ email, at })).max(100_000),
      inbounds: z.array(z.strictObject({ inbound: inboundRef, at })).max(10_000),
      certificates: z
        .array(z.strictObject({ domain: certificateDomain, at }))
        .max(10_000)
        .optional(),
    })
    .default({ clients: [], inbounds: [] }),
})
export type RestoreBackup = z.input<typeof restoreBackupInput>
export type ParsedRestore = z.output<typeof restoreBackupInput>
export type Deleted = ParsedRestore['deleted']

const count = z.number().int().nonnegative()

const restored = z.object({
  /** As they were in the backup, again or anew. */
  restored: count,
  /** As in the backup already. */
  unchanged: count,
  /** In the backup, but deleted since. */
  deleted: count,
  /** In the backup, but their name is another's by now. */
  taken: count,
  /** Not in the backup: here since, and still here. */
  kept: count,
  /** Some of the names: those that are deleted, taken, kept. */
  names: z.object({
    deleted: z.array(z.string()),
    taken: z.array(z.string()),
    kept: z.array(z.string()),
  }),
})

export const restoreReport = z.object({
  /** When the backup was made, by the clock of its server. */
  createdAt: timestamp,
  /** The release that made it. */
  release: z.string(),
  /** The last migration its database had. */
  schema: z.string(),
  inbounds: restored,
  clients: restored,
  /** By their domains. Servers of an older release do not tell. */
  certificates: restored.optional(),
  /** Outbounds and routing rules are one document; such servers do not tell of it either. */
  routing: z
    .object({
      /** kept: the backup says nothing of it, and it is as it was before. */
      outcome: z.enum(['restored', 'unchanged', 'kept']),
      /** A part of it is one that Xray takes only at its next start. */
      restartNeeded: z.boolean(),
    })
    .optional(),
})
export type RestoreReport = z.output<typeof restoreReport>
export type RestoredRows = z.output<typeof restored>

/** What can be known of a backup without its passphrase. */
export interface BackupInfo {
  /** ms, by the clock of the server it was made on. */
  createdAt: number
  /** The release that made it. */
  release: string
  /** Names the key that sealed the secrets in it. */
  keyId: string
}

export interface BackupFile extends BackupInfo {
  /** The whole file. To be read to its end, or returned from: there is something behind it until then. */
  stream: AsyncIterable<Uint8Array>
}

/** What a connector offers of this. The errors are the same on every one. */
export interface BackupCalls {
  /** @throws FleetError also while the stream is read: what was read until then is no backup */
  create(input: CreateBackup, options?: { signal?: AbortSignal }): Promise<BackupFile>
  /**
   * Nothing changes unless all of it can be put back. A repeated key gets the outcome of the first, once the file has
   * been sent again.
   * @throws FleetError NOT_A_BACKUP, BACKUP_DAMAGED, BACKUP_PASSPHRASE_WRONG, BACKUP_TOO_NEW, BACKUP_OTHER_KEY; what
   *   `file` throws
   */
  restore(
    input: RestoreBackup,
    file: AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal; context?: CallContext },
  ): Promise<RestoreReport>
}

/** Whoever has the file and its passphrase has every client's credentials; whoever puts one back replaces them. */
const secret = { role: 'owner', whenOffline: 'refuse' } as const

export const streamed = {
  'backups.create': {
    // Until it begins; then it may take as long as it goes on.
    meta: { ...secret, kind: 'read', timeout: minutes, secrets: ['passphrase'] },
    route: { method: 'POST', path: '/backup', summary: 'An encrypted copy of everything this server holds' },
    input: createBackupInput,
  },
  'backups.restore': {
    // With the way there: 1 GiB at 10 Mbit/s.
    meta: { ...secret, kind: 'danger', timeout: 15 * minutes, secrets: ['passphrase', 'key'] },
    route: { method: 'POST', path: '/restore', summary: 'Everything as it was in a backup' },
    input: restoreBackupInput,
  },
} as const satisfies Record<
  string,
  {
    meta: OperationMeta
    route: { method: 'POST'; path: `/${string}`; summary: string }
    input: z.ZodType
  }
>

/** Operations that carry a file. The journal cannot send them. */
export type StreamedName = keyof typeof streamed
/** What an implementation of one receives: checked, defaults filled in. */
export type StreamedInput<N extends StreamedName> = z.output<(typeof streamed)[N]['input']>
