/** Reads logs from their end, in bounded memory: what is asked for is nearly always what happened last. */
import { type FileHandle, open } from 'node:fs/promises'
import type { ParsedInput } from '#src/contract/index.ts'
import { logFilter } from './log-filter.ts'

type Wanted = Omit<ParsedInput<'system.logs'>, 'source'>

const PIECE_BYTES = 64 * 1024
/** All that the rotation of Xray's logs leaves on the disk, and no more, is looked through for a rare line. */
const MOST_BYTES = 32 * 1024 * 1024
/** Of a longer line its beginning is answered, so that a thousand lines stay one message. */
const LONGEST_LINE_BYTES = 4_096

/**
 * The last lines that fit, oldest first. A line without a level fits any: it is part of a crash's words, say.
 * @param files parts of one log, the newest first; those that are not there have no lines
 */
export async function lastLines(files: readonly string[], wanted: Wanted): Promise<string[]> {
  // All are opened before one is read: a rotation meanwhile would show the same lines in two of them.
  const opened = await Promise.all(files.map((file) => open(file).catch(() => null)))
  const handles = opened.filter((handle) => handle !== null)
  const fits = logFilter(wanted)
  const found: string[] = []
  try {
    for await (const line of linesBackwards(handles)) {
      if (fits(line)) found.push(line)
      if (found.length === wanted.lines) break
    }
  } finally {
    await Promise.all(handles.map((handle) => handle.close()))
  }
  return found.toReversed()
}

/** The lines of one log, whose newest part comes first, from the last on; of its last bytes only. */
export async function* linesBackwards(handles: readonly FileHandle[]): AsyncGenerator<string> {
  let left = MOST_BYTES
  const piece = Buffer.alloc(PIECE_BYTES)
  for (const handle of handles) {
    let at = (await handle.stat()).size
    /** The beginning, so far, of a line whose end was read already. */
    let begun: Buffer = Buffer.alloc(0)
    let isLast = true
    while (at > 0) {
      const length = Math.min(PIECE_BYTES, at, left)
      at -= length
      left -= length
      const { bytesRead } = await handle.read(piece, 0, length, at)
      // It was emptied meanwhile; what was in it is in the next part, and was partly told already.
      if (length === 0 || bytesRead < length) return
      const text = Buffer.concat([piece.subarray(0, length), begun])
      let end = text.length
      for (let feed = text.lastIndexOf('\n'); feed !== -1; feed = lastFeed(text, end)) {
        // The file ends with a line feed, and no line follows it.
        if (!isLast || feed + 1 < end) yield lineOf(text.subarray(feed + 1, end))
        isLast = false
        end = feed
      }
      begun = text.subarray(0, Math.min(end, LONGEST_LINE_BYTES + 1))
    }
    if (begun.length > 0) yield lineOf(begun)
  }
}

function lastFeed(text: Buffer, before: number): number {
  // A negative position would count from the end.
  return before === 0 ? -1 : text.lastIndexOf('\n', before - 1)
}

function lineOf(bytes: Buffer): string {
  if (bytes.length <= LONGEST_LINE_BYTES) return bytes.toString('utf8')
  // The cut may have gone through a character.
  return `${bytes.toString('utf8', 0, LONGEST_LINE_BYTES).replace(/\uFFFD$/, '')}…`
}
