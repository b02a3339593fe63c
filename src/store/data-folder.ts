import { accessSync, constants, mkdirSync } from 'node:fs'
import { fail, isNoRoom } from '#src/errors.ts'

/** Why a place cannot be written to, by the code of the system's error or of SQLite's. */
const words: readonly [RegExp, string][] = [
  [/^(?:EACCES|EPERM|SQLITE_READONLY|SQLITE_PERM)/, 'that is not allowed'],
  [/^EROFS/, 'that disk can only be read'],
  [/^(?:ENOTDIR|EEXIST)/, 'a part of this path is a file, not a folder'],
  // SQLite says no more than this of a folder, and of a file on a disk that can only be read.
  [/^SQLITE_CANTOPEN/, 'no file can be opened there to be written to'],
]

/** The folder of this process's data: made, for its owner alone, and found fit. @throws FleetError DATA_UNWRITABLE */
export function openDataFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    refuseUnwritable(folder, error)
    throw error
  }
}

/** @throws FleetError DATA_UNWRITABLE where that is what the error means */
export function refuseUnwritable(path: string, error: unknown): void {
  if (!(error instanceof Error) || isNoRoom(error)) return
  const code = 'code' in error ? String(error.code) : ''
  const reason = words.find(([codes]) => codes.test(code))?.[1]
  if (reason === undefined) return
  fail('DATA_UNWRITABLE', { path, reason, user: process.getuid?.() ?? '?' }, { cause: error })
}
