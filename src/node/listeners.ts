/** How inbounds listen, and whether a change of a row is one of its listener. */
import { takesUsersWhileRunning } from '#src/xray/account.ts'
import type { RenderedInbound } from '#src/xray/render-inbound.ts'
import { canonicalJson } from './canonical.ts'
import type { InboundRecord, InboundSettings } from './rows.ts'
import type { Snapshot } from './snapshot.ts'

/** Whether it may be used now. */
export function isOpen(row: { enabled: boolean; blocked: string | null }): boolean {
  return row.enabled && row.blocked === null
}

export function wasOpen(row: Snapshot['inbounds'][number]): boolean {
  return row['enabled'] === 1 && row['blocked'] === null
}

/** How an inbound listens, whoever may enter; and who may, where Xray must be told of both together. */
export function listenerOf(inbound: RenderedInbound, row: InboundSettings): string {
  const settings = inbound['settings'] as Record<string, unknown>
  return canonicalJson(
    takesUsersWhileRunning(row) ? { ...inbound, settings: { ...settings, clients: null } } : inbound,
  )
}

/** Whether a change of the row leaves the listener as it is: a new remark must not touch a port. */
export function sameListener(old: Snapshot['inbounds'][number], now: InboundRecord): boolean {
  return (
    old['tag'] === now.tag &&
    old['listen'] === now.listen &&
    old['port'] === now.port &&
    old['settings'] === JSON.stringify(now.settings) &&
    old['stream'] === JSON.stringify(now.stream) &&
    old['sniffing'] === JSON.stringify(now.sniffing) &&
    wasOpen(old) === isOpen(now)
  )
}
