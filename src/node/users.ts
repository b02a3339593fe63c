/** Who may enter where: clients of the rows as users of the running Xray. */
import type { XrayApi } from '#src/xray/api.ts'
import { accountIn, hasClients, takesUsersWhileRunning } from '#src/xray/account.ts'
import type { XrayUser } from '#src/xray/model.ts'
import { nobodyOf } from '#src/xray/render-inbound.ts'
import { isSameUser } from '#src/xray/user-message.ts'
import { xrayName } from '#src/xray/user-name.ts'
import { alteredFixedInbounds } from './fixed-users.ts'
import { isOpen } from './listeners.ts'
import type { ClientRecord, InboundRecord, InboundSettings } from './records.ts'
import type { Rows } from './rows.ts'
import type { RowsView } from './rows-view.ts'
import type { Snapshot } from './snapshot.ts'

export interface UsersDeps {
  rows: Rows
  api: XrayApi
  /** Closes an inbound and opens it with the users of the rows: where Xray must be told of both together. */
  reopen: (inbound: InboundRecord) => Promise<void>
  /** Whether an inbound is closed since its port cannot be had. */
  isHeldBack: (tag: string) => boolean
}

/** What one inbound is to be told. */
interface Wanted {
  add: ClientRecord[]
  /** Names. */
  remove: string[]
}

export function createUsers({ rows, api, reopen, isHeldBack }: UsersDeps) {
  const userIn = (inbound: InboundSettings, client: ClientRecord): XrayUser => ({
    email: xrayName(client.email, inbound.id),
    account: accountIn(inbound, client),
  })

  function inInbound(inbound: InboundRecord): XrayUser[] {
    if (!hasClients(inbound)) return []
    const clients = rows.clientsIn(inbound.id).filter(isOpen)
    return clients.map((client) => userIn(inbound, client))
  }

  return {
    /** All that an inbound lets in. */
    inInbound,

    /** Users of the scope, each put into or taken out of every inbound it stood in or stands in. */
    async push(before: Snapshot, view: RowsView, reopened: ReadonlySet<number>): Promise<void> {
      for (const [inboundId, { add, remove }] of wantedBy(before, view)) {
        const inbound = view.inbound(inboundId)
        if (inbound === undefined || !isOpen(inbound) || reopened.has(inboundId)) continue
        if (!takesUsersWhileRunning(inbound) || isHeldBack(inbound.tag)) continue
        const leaving = remove.map((email) => xrayName(email, inboundId))
        await api.removeUsers(inbound.tag, leaving)
        const joining = add.map((client) => userIn(inbound, client))
        await api.addUsers(inbound.tag, joining, { replace: true })
      }
    },

    /** Inbounds that take users only when they are opened, in which a change has altered who may enter and how. */
    alteredFixed: (before: Snapshot, view: RowsView): Set<number> =>
      alteredFixedInbounds(before, view, rows, userIn),

    /** Opens those anew, but for what was opened already. */
    async pushFixed(altered: ReadonlySet<number>, reopened: ReadonlySet<number>): Promise<void> {
      for (const id of altered) {
        const inbound = rows.inbound(id)
        if (inbound === undefined || !isOpen(inbound) || reopened.has(id)) continue
        if (!isHeldBack(inbound.tag)) await reopen(inbound)
      }
    },

    /** Compares the users of an open inbound with the rows, and mends what differs. Returns how many did. */
    async mend(inbound: InboundRecord): Promise<number> {
      if (!hasClients(inbound) || !takesUsersWhileRunning(inbound)) return 0
      const there = new Map((await api.users(inbound.tag)).map((user) => [user.email.toLowerCase(), user]))
      there.delete(nobodyOf(inbound.tag).toLowerCase())
      const missing: XrayUser[] = []
      for (const user of inInbound(inbound)) {
        const found = there.get(user.email.toLowerCase())
        there.delete(user.email.toLowerCase())
        if (found !== undefined && isSameUser(found, user)) continue
        // To some protocols the same name in other letters is another one.
        if (found !== undefined && found.email !== user.email) await api.removeUser(inbound.tag, found.email)
        missing.push(user)
      }
      const strangers = [...there.values()].map(({ email }) => email)
      await api.removeUsers(inbound.tag, strangers)
      await api.addUsers(inbound.tag, missing, { replace: true })
      return missing.length + strangers.length
    },
  }
}

/** By inbound: whom it is to let in, and whom no more. */
function wantedBy(before: Snapshot, view: RowsView): Map<number, Wanted> {
  const oldNames = new Map(before.clients.map((row) => [Number(row['id']), String(row['email'])]))
  const stood = new Map<number, number[]>()
  for (const row of before.placements) {
    const id = Number(row['client_id'])
    stood.set(id, [...(stood.get(id) ?? []), Number(row['inbound_id'])])
  }
  const wanted = new Map<number, Wanted>()
  for (const id of before.scope.clients) {
    const now = view.client(id)
    for (const inboundId of new Set([...(stood.get(id) ?? []), ...(now?.inbounds ?? [])])) {
      const lists = wanted.get(inboundId) ?? { add: [], remove: [] }
      wanted.set(inboundId, lists)
      if (now !== undefined && isOpen(now) && now.inbounds.includes(inboundId)) lists.add.push(now)
      else lists.remove.push(oldNames.get(id) ?? String(now?.email))
    }
  }
  return wanted
}
