import type { RenderedInbound } from '#src/xray/render.ts'
import { canonicalJson } from './canonical.ts'
import type { InboundRecord } from './rows.ts'
import type { Snapshot } from './snapshot.ts'

/** How an inbound listens, whoever may enter. */
export function listenerOf(inbound: RenderedInbound): string {
  return canonicalJson({ ...inbound, settings: null })
}

/** Whether a change of the row leaves the listener as it is: a new remark must not touch a port. */
export function sameListener(old: Snapshot['inbounds'][number], now: InboundRecord): boolean {
  return (
    old['tag'] === now.tag &&
    old['listen'] === now.listen &&
    old['port'] === now.port &&
    old['stream'] === JSON.stringify(now.stream) &&
    old['sniffing'] === JSON.stringify(now.sniffing) &&
    (old['enabled'] === 1) === now.enabled
  )
}
