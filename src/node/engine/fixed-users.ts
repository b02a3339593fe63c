/** Inbounds whose users Xray takes only when they are opened: WireGuard and SOCKS. */
import { takesUsersWhileRunning } from '#src/xray/config/account.ts'
import type { XrayUser } from '#src/xray/config/model.ts'
import { isOpen } from './listeners.ts'
import type { ClientRecord, InboundSettings } from '../rows/records.ts'
import type { Placements } from '../rows/placements.ts'
import type { Rows } from '../rows/rows.ts'
import type { RowsView } from '../rows/rows-view.ts'
import { type Snapshot, standingsOf } from '../rows/snapshot.ts'

/**
 * Those in which a change has altered who may enter and how. Only these are opened anew, which everybody in them
 * feels: a new comment, or a change of a client who is closed, must not do that.
 */
export function alteredFixedInbounds(
  before: Snapshot,
  view: RowsView,
  here: { rows: Pick<Rows, 'clientOf'>; placements: Pick<Placements, 'inboundsOf'> },
  userIn: (inbound: InboundSettings, client: ClientRecord) => XrayUser,
): Set<number> {
  const altered = new Set<number>()
  const { clients } = before.scope
  const touched = [...standingsOf(before), ...clients.flatMap((id) => here.placements.inboundsOf(id))]
  for (const inboundId of new Set(touched)) {
    const inbound = view.inbound(inboundId)
    if (inbound === undefined || takesUsersWhileRunning(inbound)) continue
    const entry = (client: ClientRecord | undefined, stands: boolean): string =>
      client !== undefined && stands && isOpen(client) ? JSON.stringify(userIn(inbound, client)) : ''
    const isAltered = clients.some((id) => {
      const row = before.clients.find((client) => client['id'] === id)
      const old = row === undefined ? undefined : here.rows.clientOf(row)
      const now = view.client(id)
      const stood = standingsOf(before, id).includes(inboundId)
      return entry(old, stood) !== entry(now, now?.inbounds.includes(inboundId) === true)
    })
    if (isAltered) altered.add(inboundId)
  }
  return altered
}
