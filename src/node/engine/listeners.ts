/** How inbounds listen, and whether a change of a row is one of its listener. */
import { takesUsersWhileRunning } from '#src/xray/config/account.ts'
import { canonicalJson } from '../rows/canonical.ts'
import type { InboundSettings } from '../rows/records.ts'

/** Whether it may be used now. */
export function isOpen(row: { enabled: boolean; blocked: string | null }): boolean {
  return row.enabled && row.blocked === null
}

/** How an inbound listens, whoever may enter; and who may, where Xray must be told of both together. */
export function listenerOf(inbound: Record<string, unknown>, row: InboundSettings): string {
  const settings = inbound['settings'] as Record<string, unknown>
  return canonicalJson(
    takesUsersWhileRunning(row) ? { ...inbound, settings: { ...settings, clients: null } } : inbound,
  )
}
