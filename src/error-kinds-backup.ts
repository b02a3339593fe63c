import type { ErrorKind } from './error-kinds.ts'

/** What can be wrong with a backup that is put back. Part of the one registry, error-kinds.ts. */
export const backupErrorKinds = {
  NOT_A_BACKUP: {
    status: 422,
    retryable: false,
    message: 'This file is no backup of a server: {reason}. Choose the file that fleetgram gave you.',
  },
  BACKUP_PASSPHRASE_WRONG: {
    status: 403,
    retryable: false,
    message:
      'The passphrase does not open this backup. Try another; a file whose first lines were changed says the same.',
  },
  BACKUP_DAMAGED: {
    status: 422,
    retryable: false,
    message:
      'The backup is damaged: {reason}. Nothing was changed. Take another copy of it, or an older one.',
  },
  BACKUP_TOO_NEW: {
    status: 409,
    retryable: false,
    message: 'The backup was made by a newer release ({release}). Install that release or a later one first.',
  },
  BACKUP_OTHER_KEY: {
    status: 409,
    retryable: false,
    message:
      "The secrets in this backup were sealed on another machine, with the key {key}. Give that machine's key, from its file fleetgram.key, together with the backup.",
  },
} as const satisfies Record<string, ErrorKind>
