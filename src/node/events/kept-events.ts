/**
 * Events that are told once for each threshold and period, or for each certificate: whoever was away when we began
 * anew must hear of them all the same. They are kept in the file, and told again at the beginning of the next run.
 */
import type { Happening } from '#src/contract/index.ts'
import { DAY_MS } from '#src/runtime.ts'
import type { Settings } from '../rows/settings.ts'

/** Some 30 KB. Of thousands who come near a limit at once the latest. */
const MOST_EVENTS = 200
/** As long as a task may wait for a server: whoever was away longer looks at everything anyway. */
const KEEP_MS = 7 * DAY_MS
/** Whoever comes from a run before these hears what it may have heard. */
const MOST_RUNS = 50

const isKept: ReadonlySet<Happening['type']> = new Set([
  'limitNear',
  'limitReached',
  'inboundNear',
  'inboundClosed',
  'certificateSoonDue',
] as const)

interface KeptEvent {
  /** Counts on over all runs, without a hole. */
  no: number
  /** Where it stood first. */
  epoch: string
  seq: number
  /** ms since the epoch. */
  time: number
  happening: Happening
}

/** What was told again in a run, from its first place on. */
interface Run {
  epoch: string
  first: number
  last: number
}

interface Kept {
  next: number
  events: KeptEvent[]
  runs: Run[]
}

export type EventStore = Pick<Settings, 'keptEvents' | 'setKeptEvents'>

/** @param store undefined: nothing outlives the run */
export function createKeptEvents(store: EventStore | undefined, now: () => number) {
  const text = store?.keptEvents() ?? null
  const kept: Kept = text === null ? { next: 1, events: [], runs: [] } : (JSON.parse(text) as Kept)
  let isSaving = false

  /** Once for all that is told in one go. On a full disk they are kept for this run alone. */
  function save(): void {
    if (isSaving || store === undefined) return
    isSaving = true
    void Promise.resolve()
      .then(() => store.setKeptEvents(JSON.stringify(kept)))
      .catch(() => undefined)
      .finally(() => {
        isSaving = false
      })
  }

  return {
    /** A run begins. @returns what is told again in it, in its first places */
    begin(epoch: string): readonly Pick<KeptEvent, 'time' | 'happening'>[] {
      const fresh = kept.events.findIndex(({ time }) => Math.abs(now() - time) <= KEEP_MS)
      kept.events.splice(0, fresh === -1 ? kept.events.length : fresh)
      kept.runs.push({ epoch, first: kept.events[0]?.no ?? kept.next, last: kept.next - 1 })
      kept.runs.splice(0, kept.runs.length - MOST_RUNS)
      save()
      return [...kept.events]
    },

    /** Something is told for the first time, in this place. */
    note(happening: Happening, { epoch, seq, time }: { epoch: string; seq: number; time: number }): void {
      if (!isKept.has(happening.type)) return
      kept.events.push({ no: kept.next++, epoch, seq, time, happening })
      kept.events.splice(0, kept.events.length - MOST_EVENTS)
      save()
    },

    /** How many of what was told again in this run somebody has heard who comes from another: those at its beginning. */
    heard(from: { epoch: string; seq: number }): number {
      const here = kept.runs.at(-1)
      const there = kept.runs.find(({ epoch }) => epoch === from.epoch)
      if (here === undefined) return 0
      const toldThere = there === undefined ? 0 : Math.min(there.last, there.first - 1 + from.seq)
      const last = kept.events.findLast(
        ({ no, epoch, seq }) => no <= toldThere || (epoch === from.epoch && seq <= from.seq),
      )
      return last === undefined ? 0 : Math.max(0, Math.min(here.last, last.no) - here.first + 1)
    },
  }
}
