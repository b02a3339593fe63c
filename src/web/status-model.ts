import type { Server } from '#src/fleet/types.ts'

/** What of a server may be known to anyone. Its name, address, versions and load are not among it. */
export type PublicServer = Pick<Server, 'id' | 'alias' | 'status' | 'enabled'>

export const publicStates = ['online', 'offline', 'error', 'partly', 'pending', 'paused', 'unknown'] as const
export type PublicState = (typeof publicStates)[number]

/** The worst thing that is true of the whole. */
export type Overall = 'good' | 'partly' | 'down' | 'waiting' | 'unknown'

export interface StatusModel {
  overall: Overall
  servers: { label: string; state: PublicState }[]
  /** ms: when the states were last judged; null before the first time. */
  judgedAt: number | null
  /** ms */
  now: number
}

/** Whether health does its work, and since when its word stands. */
export interface WebHealth {
  /** False when no sweep has ended for so long that the states below are no longer news. */
  ok: boolean
  /** ms: when the last sweep ended; null or left out before the first one. */
  judgedAt?: number | null | undefined
}

/** The page's content as a pure function of what is known now. */
export function statusModel(servers: readonly PublicServer[], health: WebHealth, now: number): StatusModel {
  const rows = servers.map((server) => ({ label: label(server), state: stateOf(server, health) }))
  return {
    overall: overall(rows.map(({ state }) => state)),
    servers: rows,
    judgedAt: health.judgedAt ?? null,
    now,
  }
}

/** The id, not the place in the list: when a server goes, the others must not change their names. */
function label({ id, alias }: PublicServer): string {
  return alias.trim() === '' ? `Server ${id}` : alias.trim()
}

function stateOf({ enabled, status }: PublicServer, health: WebHealth): PublicState {
  if (!enabled) return 'paused'
  if (status === 'pending') return 'pending'
  // An old "online" would be a promise nobody has checked.
  return health.ok ? status : 'unknown'
}

function overall(states: readonly PublicState[]): Overall {
  const watched = states.filter((state) => state !== 'paused' && state !== 'pending')
  if (watched.length === 0) return 'waiting'
  if (watched.includes('unknown')) return 'unknown'
  const online = watched.filter((state) => state === 'online').length
  if (online === watched.length) return 'good'
  return online === 0 && !watched.includes('partly') ? 'down' : 'partly'
}

/** How long ago, in words: `12 s`, `5 min`, `3 h`, `2 days`. */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 90) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 90) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`
}
