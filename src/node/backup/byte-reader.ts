/** Bytes of a stream, taken in the portions that are asked for rather than those they come in. */
export interface ByteReader {
  /** The next `size` bytes; fewer only where the stream ends. */
  take(size: number): Promise<Buffer>
  /** Up to and without the next line break. Undefined where none comes within `limit` bytes. */
  line(limit: number): Promise<string | undefined>
  /** Whether nothing is left. */
  ended(): Promise<boolean>
  /** What is left, as it comes, behind `first`. Returned from early, even before it is begun, it ends the stream. */
  rest(first?: Buffer): AsyncIterableIterator<Uint8Array, undefined, undefined>
  /** Ends the stream: whoever makes it needs not go on. */
  close(): Promise<void>
}

const NEWLINE = 0x0a

export function createByteReader(source: AsyncIterable<Uint8Array>): ByteReader {
  const iterator = source[Symbol.asyncIterator]()
  let ready: Buffer[] = []
  let size = 0
  let isDone = false

  /** Reads on until so many bytes are at hand, or the stream ends. */
  async function fill(wanted: number): Promise<void> {
    while (size < wanted && !isDone) {
      const next = await iterator.next()
      if (next.done === true) isDone = true
      else {
        const { buffer, byteOffset, byteLength } = next.value
        ready.push(Buffer.from(buffer, byteOffset, byteLength))
        size += byteLength
      }
    }
  }

  function cut(wanted: number): Buffer {
    const all = ready.length === 1 && ready[0] !== undefined ? ready[0] : Buffer.concat(ready)
    const [taken, left] = [all.subarray(0, wanted), all.subarray(wanted)]
    ready = left.length === 0 ? [] : [left]
    size = left.length
    return taken
  }

  async function close(): Promise<void> {
    isDone = true
    await iterator.return?.()
  }

  return {
    async take(wanted) {
      await fill(wanted)
      return cut(wanted)
    },

    async line(limit) {
      for (let looked = 0; looked < limit;) {
        await fill(looked + 1)
        if (size === looked) return undefined
        const all = cut(size)
        ready = [all]
        size = all.length
        const end = all.indexOf(NEWLINE, looked)
        if (end >= 0 && end < limit) return cut(end + 1).toString('utf8', 0, end)
        looked = size
      }
      return undefined
    },

    async ended() {
      await fill(1)
      return size === 0
    },

    rest(first = Buffer.alloc(0)) {
      const waiting = [first, cut(size)].filter((part) => part.length > 0)
      // Not a generator: one that was never begun would not pass its end on.
      const rest: AsyncIterableIterator<Uint8Array, undefined, undefined> = {
        [Symbol.asyncIterator]: () => rest,
        async next() {
          const value = waiting.shift()
          if (value !== undefined) return { done: false, value }
          const next = await iterator.next()
          return next.done === true ? { done: true, value: undefined } : { done: false, value: next.value }
        },
        async return() {
          await close()
          return { done: true, value: undefined }
        },
      }
      return rest
    },

    close,
  }
}
