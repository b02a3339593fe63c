/** What a node says of limits to whoever listens: that one was reached, that one is near, that somebody is let in again. */
import type { BlockReason, Happening } from '#src/contract/index.ts'
import type { RowsView } from '../rows/rows-view.ts'
import type { Snapshot } from '../rows/snapshot.ts'

/** Whose limits they are: a client by its name, an inbound by its tag. */
interface Subject {
  of: 'client' | 'inbound'
  id: number
  name: string
  /** ms since the epoch. */
  at: number
}

export type LimitEvent =
  | (Subject & { type: 'limitReached'; reason: BlockReason })
  /** Once for each threshold and period. */
  | (Subject & {
      type: 'limitNear'
      limit: 'traffic'
      percent: number
      usedBytes: number
      limitBytes: number
    })
  | (Subject & { type: 'limitNear'; limit: 'expiry'; days: number; expiresAt: number })
  | (Subject & { type: 'restored'; reason: BlockReason })

/** Told of each event once it is so. Must not throw. */
export type PublishLimit = (event: LimitEvent) => void

/** Who is refused since a change, and who is let in again. Who came or went with it is neither. */
export function turnedBy(before: Snapshot, now: RowsView, at: number): LimitEvent[] {
  const clients = turned(before.clients, (id) => now.client(id)).map(({ id, row, from, to }) =>
    turnEvent({ of: 'client', id, name: row.email, at }, from, to),
  )
  const inbounds = turned(before.inbounds, (id) => now.inbound(id)).map(({ id, row, from, to }) =>
    turnEvent({ of: 'inbound', id, name: row.tag, at }, from, to),
  )
  return [...inbounds, ...clients].flat()
}

function turned<T extends { blocked: BlockReason | null }>(
  before: Snapshot['clients'],
  now: (id: number) => T | undefined,
) {
  return before.flatMap((old) => {
    const id = Number(old['id'])
    const row = now(id)
    const from = old['blocked'] as BlockReason | null
    return row === undefined || row.blocked === from ? [] : [{ id, row, from, to: row.blocked }]
  })
}

function turnEvent(subject: Subject, from: BlockReason | null, to: BlockReason | null): LimitEvent[] {
  if (to !== null) return [{ ...subject, type: 'limitReached', reason: to }]
  return from === null ? [] : [{ ...subject, type: 'restored', reason: from }]
}

/** How often one client that comes from too many addresses is spoken of. It may be let in and refused every minute. */
const SAME_AGAIN_MS = 60 * 60 * 1000

/**
 * Keeps to itself what would only repeat: of addresses the first in an hour is told, and not that there is room again.
 * What goes wrong with a listener is no reason to stop enforcing.
 */
export function calmly(publish: PublishLimit, onError: (error: unknown) => void): PublishLimit {
  const toldAt = new Map<number, number>()

  function isWorthTelling(event: LimitEvent): boolean {
    if (event.type === 'limitNear' || event.reason !== 'addresses') return true
    if (event.type === 'restored') return false
    for (const [id, at] of toldAt) if (Math.abs(event.at - at) >= SAME_AGAIN_MS) toldAt.delete(id)
    if (toldAt.has(event.id)) return false
    toldAt.set(event.id, event.at)
    return true
  }

  return (event) => {
    if (!isWorthTelling(event)) return
    try {
      publish(event)
    } catch (error) {
      onError(error)
    }
  }
}

/** The same as a reader of this node's events is told. */
export function happeningOf(event: LimitEvent): Happening {
  const isClient = event.of === 'client'
  switch (event.type) {
    case 'limitReached':
      return isClient
        ? { type: 'limitReached', email: event.name, limit: event.reason }
        : { type: 'inboundClosed', tag: event.name, limit: event.reason }
    case 'restored':
      return isClient ? { type: 'restored', email: event.name } : { type: 'inboundOpened', tag: event.name }
    case 'limitNear': {
      const near =
        event.limit === 'traffic'
          ? { limit: 'traffic' as const, left: Math.max(0, event.limitBytes - event.usedBytes) }
          : { limit: 'expired' as const, left: Math.max(0, event.expiresAt - event.at) }
      return isClient
        ? { type: 'limitNear', email: event.name, ...near }
        : { type: 'inboundNear', tag: event.name, ...near }
    }
  }
}
