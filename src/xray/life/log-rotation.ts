import { type FileHandle, open, rename, rm, truncate } from 'node:fs/promises'
import type { Log } from '#src/log.ts'

/** A log that has grown to this is put aside: days of a busy server at Xray's level `warning`. */
const rotateAtBytes = 10 * 1024 * 1024
const pieceBytes = 256 * 1024

/** Where the part of a log before its last rotation lies. */
export function oldLog(file: string): string {
  return `${file}.1`
}

/**
 * Keeps a log small: once it is too large, its content becomes the old part in place of the one before, and it goes on
 * empty. The content is copied and the file emptied, never renamed: Xray keeps it open and appends (O_APPEND), so it
 * goes on at the beginning by itself, an adopted one whose API cannot reopen logs too. Never rejects.
 */
export async function rotateLog(file: string, log: Log, limit = rotateAtBytes): Promise<void> {
  const from = await open(file).catch(() => null)
  if (from === null) return
  try {
    const { size } = await from.stat()
    if (size < limit) return
    // All of it, unless it grew faster than anybody looked.
    await keepCopy(file, from, Math.max(0, size - 2 * limit)).catch(async (error: unknown) => {
      // A full disk, most likely: there the room counts more than what was said.
      log.warn({ error, file }, 'the old part of a log could not be kept')
      await Promise.all([rm(oldLog(file), { force: true }), rm(temporary(file), { force: true })])
    })
    await truncate(file)
  } catch (error) {
    log.warn({ error, file }, 'a log could not be rotated')
  } finally {
    await from.close()
  }
}

const temporary = (file: string): string => `${oldLog(file)}.new`

/** Copies what is in the log from a position on, to what it grows to meanwhile. */
async function keepCopy(file: string, from: FileHandle, start: number): Promise<void> {
  const to = await open(temporary(file), 'w', 0o600)
  try {
    const reached = await copyRest(from, to, start)
    await rename(temporary(file), oldLog(file))
    // As late as can be: a line written between this and the emptying is lost.
    await copyRest(from, to, reached)
  } finally {
    await to.close()
  }
}

async function copyRest(from: FileHandle, to: FileHandle, start: number): Promise<number> {
  const piece = Buffer.alloc(pieceBytes)
  for (let at = start; ;) {
    const { bytesRead } = await from.read(piece, 0, pieceBytes, at)
    if (bytesRead === 0) return at
    await to.writeFile(piece.subarray(0, bytesRead))
    at += bytesRead
  }
}
