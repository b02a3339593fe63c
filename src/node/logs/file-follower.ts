/** A file that grows, line by line; over its truncation, and over another put in its place. */
import { type FileHandle, open, stat } from 'node:fs/promises'

/** A longer line is cut: it is for reading, and one without an end must not fill the memory. */
const LINE_CHARS = 2_000
const CHUNK_BYTES = 64 * 1024
/** So much of the end is looked through for the lines that are there already. */
const BEGIN_BYTES = 512 * 1024
/** Of more than this at once nobody reads all: the rest is passed over unread. */
const MOST_BYTES = 8 * 1024 * 1024
/**
 * By so much it is seen whether what was read last still stands there. What Xray prints at two starts is alike but for
 * the times in it, so some whole lines are compared.
 */
const TRACE_BYTES = 4 * 1024

export interface Lines {
  /** How many more there were before these, at least. */
  skipped: number
  /** The latest, oldest first. */
  lines: string[]
}

export function createFileFollower(path: string, wanted: (line: string) => boolean) {
  let handle: FileHandle | undefined
  let offset = 0
  /** The bytes before `offset`, as they were read. */
  let trace = Buffer.alloc(0)
  let text = new TextDecoder()
  let torn = ''
  /** We came into the middle of a line. */
  let isInside = false

  function startAt(position: number): void {
    offset = position
    isInside = position > 0
    trace = Buffer.alloc(0)
    text = new TextDecoder()
    torn = ''
  }

  /** Lines that end in this piece; what follows the last line end waits for the next. */
  function cut(bytes: Buffer, take: (line: string) => void): void {
    const parts = text.decode(bytes, { stream: true }).split('\n')
    const rest = parts.pop() ?? ''
    for (const part of parts) {
      const line = torn + part
      torn = ''
      if (isInside) isInside = false
      else take(line.length > LINE_CHARS ? `${line.slice(0, LINE_CHARS)}…` : line)
    }
    // One more than is shown, so that it is seen to be cut.
    torn = (torn + rest).slice(0, LINE_CHARS + 1)
  }

  async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
    return buffer.subarray(0, bytesRead)
  }

  /** Whether what was read last still stands there: a file may be emptied and have grown again since. */
  async function isAsRead(file: FileHandle): Promise<boolean> {
    return trace.length === 0 || (await readAt(file, offset - trace.length, trace.length)).equals(trace)
  }

  /** Reads what is new in a file that is open. @param latest so many of the lines are kept */
  async function readOn(file: FileHandle, latest: number): Promise<Lines> {
    const { size } = await file.stat()
    if (size < offset || !(await isAsRead(file))) startAt(0)
    let [passed, count] = [0, 0]
    if (size - offset > MOST_BYTES) {
      startAt(size - MOST_BYTES)
      passed = 1
    }
    const lines: string[] = []
    const take = (line: string): void => {
      if (!wanted(line)) return
      count++
      lines.push(line)
      if (lines.length > latest) lines.shift()
    }
    while (offset < size) {
      const bytes = await readAt(file, offset, Math.min(CHUNK_BYTES, size - offset))
      if (bytes.length === 0) break
      offset += bytes.length
      trace = Buffer.concat([trace, bytes]).subarray(-TRACE_BYTES)
      cut(bytes, take)
    }
    return { skipped: count - lines.length + passed, lines }
  }

  async function openAnew(): Promise<FileHandle | undefined> {
    handle = await open(path).catch(() => undefined)
    startAt(0)
    return handle
  }

  return {
    /** The latest lines that are there already. */
    async begin(latest: number): Promise<string[]> {
      const file = await openAnew()
      if (file === undefined) return []
      const { size } = await file.stat()
      startAt(Math.max(0, size - BEGIN_BYTES))
      return (await readOn(file, latest)).lines
    },

    /** What is new since the last call. */
    async next(latest: number): Promise<Lines> {
      // In this order: once another is in its place, nothing more is written to the one before.
      const there = await stat(path).catch(() => undefined)
      const before = handle === undefined ? { skipped: 0, lines: [] } : await readOn(handle, latest)
      // Moved away, it is written to until there is another in its place.
      if (there === undefined || there.ino === (await handle?.stat())?.ino) return before
      await handle?.close()
      const file = await openAnew()
      if (file === undefined) return before
      const after = await readOn(file, latest)
      const lines = [...before.lines, ...after.lines]
      const kept = lines.slice(-latest)
      return { skipped: before.skipped + after.skipped + lines.length - kept.length, lines: kept }
    },

    async close(): Promise<void> {
      await handle?.close()
      handle = undefined
    },
  }
}
