import type { Server } from '#src/fleet/types.ts'
import { type Html, html } from './html.ts'
import type { T } from './i18n/texts.ts'

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const

/** Bytes for people, in steps of 1024 as VPN panels count them: `1.5 GB`. */
export function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  // Whole amounts are what people set as a limit: 25 GB, not 25.0 GB.
  const shown = unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, '')
  return `${shown} ${UNITS[unit] ?? ''}`
}

/** A span of time in its two largest units at most: `2 h 5 min`. */
export function duration(t: T, ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return t('time.seconds', { n: seconds })
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return t('time.minutes', { n: minutes })
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return joined(t('time.hours', { n: hours }), minutes % 60, (n) => t('time.minutes', { n }))
  return joined(t('time.days', { n: Math.floor(hours / 24) }), hours % 24, (n) => t('time.hours', { n }))
}

function joined(large: string, rest: number, small: (n: number) => string): string {
  return rest === 0 ? large : `${large} ${small(rest)}`
}

/** A day, UTC. */
export function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/** How much of something is used up, as a bar of ten. */
export function bar(share: number): string {
  const full = Math.min(10, Math.max(0, Math.floor(share * 10)))
  return '▰'.repeat(full) + '▱'.repeat(10 - full)
}

function dateTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/**
 * A moment that the reader's app writes in their language and time zone (Bot API 9.5): `ago` as "2 minutes ago", which
 * it keeps true, `at` as date and time. The UTC inside is for apps that are older.
 */
export function moment(ms: number, as: 'ago' | 'at'): Html {
  const seconds = Math.floor(ms / 1000)
  return html`<tg-time unix="${seconds}" format="${as === 'ago' ? 'r' : 'dt'}">${dateTime(ms)}</tg-time>`
}

export function statusDot(server: Pick<Server, 'status' | 'enabled'>): string {
  if (!server.enabled) return '⏸'
  return { online: '🟢', offline: '🔴', error: '🟠', partly: '🟡', pending: '⚪' }[server.status]
}

/** True for a server whose join command has not been run yet. */
export function isToJoin({ kind, status, endpoint }: Pick<Server, 'kind' | 'status' | 'endpoint'>): boolean {
  return kind === 'agent' && status === 'pending' && endpoint === null
}

/** What is known of it, as texts are named: the controller's own server has nothing to join. */
export function statusName<S extends Server['status']>({
  kind,
  status,
}: {
  kind: Server['kind']
  status: S
}): S | 'unchecked' {
  return kind === 'local' && status === 'pending' ? 'unchecked' : status
}

/** Whether changes reach it now, as far as is known: one that was not looked at yet is tried. */
export function isReachable(server: Pick<Server, 'kind' | 'status' | 'endpoint'>): boolean {
  return !isToJoin(server) && (server.kind === 'local' || server.status !== 'offline')
}

/** A few names, and how many more. */
export function namesOf(names: readonly string[], most = 5): string {
  const rest = names.length - most
  return names.slice(0, most).join(', ') + (rest > 0 ? ` +${rest}` : '')
}

export function percent(used: number, total: number): number {
  return total === 0 ? 0 : Math.round((used / total) * 100)
}
