/**
 * What happens at a node, told to whoever reads along. Kept in memory for one run: a reader that was cut off goes on
 * after the last event it has seen, or is told that there is a gap; after one of runs it hears all of this one. A reader
 * holds a place in the line and nothing else, so a slow one costs no memory: it falls out of the line, and is told so.
 */
import { withEventMeta } from '@orpc/client'
import { AsyncIteratorClass } from '@orpc/contract'
import { eventId, type Happening, type NodeEvent, parseEventId } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { type EventStore, createKeptEvents } from './kept-events.ts'
import type { Position } from '../rows/position.ts'

/** A reader that hears nothing for two and a half of these takes its stream for broken. */
const BEAT_EVERY_MS = 10_000
/** A busy node changes at most once a second: this is a quarter of an hour of being cut off, some 300 KB. */
const KEPT = 1_000
/**
 * One controller reads one stream. The rest is for those it has lost on a broken line, which the system notices only
 * after a quarter of an hour; so whoever comes last is let in, and who came first makes room.
 */
const READERS = 8
/** Changes come in heaps: whoever follows them fetches once for all of a second. */
const CHANGED_EVERY_MS = 1_000
/** When a browser, or another plain reader, comes back after it was cut off. */
const RETRY_AFTER_MS = 1_000

export interface EventDeps {
  runtime: Pick<Runtime, 'now' | 'sleep'>
  position: () => Position
  xray: () => { running: boolean; lastError: string | null }
  beatEveryMs?: number | undefined
  kept?: number | undefined
  /** Where it lies what outlives a run; none: nothing does. */
  settings?: EventStore | undefined
}

export type Events = ReturnType<typeof createEvents>

/** A place in the line of a run. */
interface Place {
  epoch: string
  seq: number
}

/** No run is called so: who comes from there has missed what nobody knows. */
const nowhere: Place = { epoch: '', seq: 0 }

/**
 * Where a reader goes on. The id of its last event comes before what it asked for at first, as a plain reader repeats
 * its request unchanged. @returns undefined: from now on
 */
export function placeOf(
  asked: { epoch: string; after: number },
  lastEventId: string | undefined,
): Place | undefined {
  if (lastEventId !== undefined) return parseEventId(lastEventId) ?? nowhere
  return asked.epoch === '' ? undefined : { epoch: asked.epoch, seq: asked.after }
}

interface Reader {
  /** The last event it was given. */
  after: number
  /** What it must be told before all else. */
  gap: boolean
  beat: boolean
  end: 'closed' | FleetError | undefined
  wake: () => void
}

export function createEvents(deps: EventDeps) {
  const { runtime, position, xray, beatEveryMs = BEAT_EVERY_MS, kept = KEPT } = deps
  const line: NodeEvent[] = []
  const outliving = createKeptEvents(deps.settings, () => runtime.now())
  const readers = new Set<Reader>()
  const closed = new AbortController()
  let epoch = ''
  let last = 0
  let beating: AbortController | undefined
  let told: Position | undefined
  let holding = false

  const here = () => ({ epoch, seq: last, time: runtime.now() })
  const numbered = <E extends NodeEvent>(event: E): E => withEventMeta(event, { id: eventId(event) })
  /** Neither gap nor beat has a place of its own. */
  const marked = <E extends NodeEvent>(event: E): E =>
    withEventMeta(event, { id: eventId(event), retry: RETRY_AFTER_MS })

  function add(happening: Happening, time: number): void {
    line.push(numbered({ ...happening, epoch, seq: ++last, time }))
    if (line.length > kept) line.shift()
  }

  function publish(happening: Happening): void {
    add(happening, runtime.now())
    outliving.note(happening, here())
    for (const reader of readers) reader.wake()
  }

  function tellChanged(): void {
    if (closed.signal.aborted) return
    const now = position()
    if (isSame(now, told)) return
    told = now
    publish({ type: 'changed', position: now })
  }

  /** At once, and after a second again if there was more. */
  async function hold(): Promise<void> {
    holding = true
    try {
      do {
        // Not before the transaction that moves it is over.
        await Promise.resolve()
        tellChanged()
        await runtime.sleep(CHANGED_EVERY_MS, closed.signal)
      } while (!isSame(position(), told))
    } finally {
      holding = false
    }
  }

  async function keepBeating(signal: AbortSignal): Promise<void> {
    for (;;) {
      await runtime.sleep(beatEveryMs, signal)
      for (const reader of readers) {
        reader.beat = true
        reader.wake()
      }
    }
  }

  /** After which event a reader begins whose place is not known: one of another run hears all there is of this one. */
  function startOf(from: Place | undefined): number {
    if (from === undefined || from.epoch === epoch) return last
    return Math.max(outliving.heard(from), last - line.length)
  }

  /** What a reader is to be given now. */
  function next(reader: Reader): NodeEvent | undefined {
    if (reader.after < last - line.length) Object.assign(reader, { after: last, gap: true })
    if (reader.gap) {
      reader.gap = false
      return marked({ type: 'gap', ...here(), seq: reader.after, position: position() })
    }
    const event = line[line.length - (last - reader.after)]
    if (event !== undefined) {
      reader.after++
      return event
    }
    if (!reader.beat) return undefined
    reader.beat = false
    return marked({ type: 'beat', ...here(), position: position(), xray: xray() })
  }

  function leave(reader: Reader, why: Reader['end']): void {
    readers.delete(reader)
    reader.end ??= why
    reader.wake()
    if (readers.size > 0) return
    beating?.abort()
    beating = undefined
  }

  return {
    publish,

    /** A run of the node begins. Whoever reads already must look at everything. */
    begin(run: string): void {
      epoch = run
      last = 0
      line.length = 0
      for (const { happening, time } of outliving.begin(run)) add(happening, time)
      told = position()
      for (const reader of readers) {
        reader.gap = true
        reader.after = last
        reader.wake()
      }
    },

    /** Rows or counters are being changed, in a transaction that may yet fail. */
    moved(): void {
      if (holding || closed.signal.aborted) return
      // Ends by the close, or by a database that cannot be read: then the next change begins anew.
      hold().catch(() => undefined)
    },

    /**
     * All events after a place, then those to come; ends when the signal says so, when its reader leaves it, or with
     * TOO_MANY_READERS. Begins with a gap if what lies between is not known, and with a beat once it has caught up.
     * @param from undefined: from now on
     */
    read(from: Place | undefined, signal?: AbortSignal): AsyncIteratorClass<NodeEvent, unknown, void> {
      const isKnown =
        from !== undefined && from.epoch === epoch && from.seq <= last && from.seq >= last - line.length
      const reader: Reader = {
        after: isKnown ? from.seq : startOf(from),
        gap: from !== undefined && !isKnown,
        beat: true,
        end: closed.signal.aborted ? 'closed' : undefined,
        wake: () => undefined,
      }
      const onAbort = (): void => leave(reader, 'closed')
      const [first] = readers
      if (first !== undefined && readers.size >= READERS) {
        leave(first, new FleetError('TOO_MANY_READERS', { limit: READERS }))
      }
      if (signal?.aborted === true) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })
      if (reader.end === undefined) readers.add(reader)
      if (beating === undefined && readers.size > 0) {
        beating = new AbortController()
        keepBeating(beating.signal).catch(() => undefined)
      }

      return new AsyncIteratorClass<NodeEvent, unknown, void>(
        async () => {
          for (;;) {
            if (reader.end instanceof FleetError) throw reader.end
            if (reader.end === 'closed') return { done: true, value: undefined }
            const value = next(reader)
            if (value !== undefined) return { done: false, value }
            await new Promise<void>((resolve) => {
              reader.wake = resolve
            })
          }
        },
        async () => {
          signal?.removeEventListener('abort', onAbort)
          leave(reader, 'closed')
        },
      )
    },

    readers: (): number => readers.size,

    /** Ends every stream. */
    close(): void {
      closed.abort()
      for (const reader of readers) leave(reader, 'closed')
    },
  }
}

function isSame(one: Position, other: Position | undefined): boolean {
  return (
    one.epoch === other?.epoch && one.changeSeq === other.changeSeq && one.trafficSeq === other.trafficSeq
  )
}
