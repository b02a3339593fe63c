import { eventIterator } from '@orpc/contract'
import { z } from 'zod'
import { blockReasons } from './inbounds.ts'
import { timestamp } from './primitives.ts'
import { position } from './server.ts'

/** What a client or an inbound can have used up: its bytes, its time, the addresses it may come from. */
const limit = z.enum(blockReasons)
/** How near that is: bytes of its traffic, ms of its time. */
const left = z.number().int().nonnegative()

/**
 * Every event stands in one line of a node's run: `epoch` names the run, `seq` counts from 1. Together, as
 * `epoch:seq`, they are the id by which a reader that was cut off goes on. A beat and a gap are of no place of their
 * own: they carry that of the event before.
 */
const place = {
  epoch: z.string().max(64),
  seq: z.number().int().nonnegative(),
  /** This node's clock. */
  time: timestamp,
}

const here = z.object(position)

// What comes from another machine ends in a chat: it is no longer than it can honestly be.
const name = z.string().max(64)
const words = z.string().max(1_000)

const xrayNow = z.object({
  running: z.boolean(),
  /** Why it is not running, or not running what it should; null when all is well. */
  lastError: z.string().nullable(),
})

const known = z.discriminatedUnion('type', [
  /** What was missed is not known any more: the reader must look at everything. What comes after is whole again. */
  z.object({ type: z.literal('gap'), ...place, position: here }),
  /** All is as it was, at least every 10 s and as soon as a stream has caught up. */
  z.object({ type: z.literal('beat'), ...place, position: here, xray: xrayNow }),
  /** There is something to fetch. At most one a second, for all changes until then. */
  z.object({ type: z.literal('changed'), ...place, position: here }),
  /** Xray has started or was found running; with a reason when not with the configuration it should have. */
  z.object({ type: z.literal('xrayUp'), ...place, lastError: z.string().nullable() }),
  /** Xray has ended, or does not start; with the last lines it printed. */
  z.object({ type: z.literal('xrayDown'), ...place, reason: words, lines: z.array(words).max(100) }),
  /** A client is cut off, since it has used up what it may. */
  z.object({ type: z.literal('limitReached'), ...place, email: name, limit }),
  /** A client will soon be. */
  z.object({ type: z.literal('limitNear'), ...place, email: name, limit, left }),
  /** A client that was cut off may enter again. */
  z.object({ type: z.literal('restored'), ...place, email: name }),
  /** An inbound has used up what it may, and is closed to everybody. */
  z.object({ type: z.literal('inboundClosed'), ...place, tag: name, limit }),
  /** An inbound will soon have. */
  z.object({ type: z.literal('inboundNear'), ...place, tag: name, limit, left }),
  /** An inbound that was closed for that is open again. */
  z.object({ type: z.literal('inboundOpened'), ...place, tag: name }),
  z.object({
    type: z.literal('certificateSoonDue'),
    ...place,
    domain: z.string().max(253),
    daysLeft: z.number().int(),
  }),
])

const knownTypes = new Set<string>(known.options.map((option) => option.shape.type.value))

/** Of a type only a newer release knows: it must not end the stream of an older reader. */
const unknown = z
  .object({ type: z.string().refine((type) => !knownTypes.has(type)), ...place })
  .transform(({ epoch, seq, time }) => ({ type: 'unknown' as const, epoch, seq, time }))

export const nodeEvent = z.union([known, unknown])
export type NodeEvent = z.output<typeof nodeEvent>

type Placed<E> = E extends { type: 'unknown' | 'gap' | 'beat' } ? never : Omit<E, keyof typeof place>
/** What a node has to tell, before it has its place. */
export type Happening = Placed<NodeEvent>

export const nodeEvents = eventIterator(nodeEvent)

/** The id of an event, as it stands in the stream. */
export function eventId({ epoch, seq }: Pick<NodeEvent, 'epoch' | 'seq'>): string {
  return `${epoch}:${seq}`
}

/** The place an id names; undefined for what is none. */
export function parseEventId(id: string): { epoch: string; seq: number } | undefined {
  const [, epoch, seq] = /^(.{1,64}):(\d{1,15})$/.exec(id) ?? []
  return epoch === undefined ? undefined : { epoch, seq: Number(seq) }
}
