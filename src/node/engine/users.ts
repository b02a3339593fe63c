/** Who may enter where: clients of the rows as users of the running Xray. */
import { setImmediate } from 'node:timers/promises'
import type { XrayApi } from '#src/xray/api/api.ts'
import { accountIn, hasClients, takesUsersWhileRunning } from '#src/xray/config/account.ts'
import type { XrayUser } from '#src/xray/config/model.ts'
import { nobodyOf } from '#src/xray/config/render-inbound.ts'
import { isSameUser } from '#src/xray/api/user-message.ts'
import { xrayName } from '#src/xray/config/user-name.ts'
import { alteredFixedInbounds } from './fixed-users.ts'
import { isOpen } from './listeners.ts'
import type { ClientRecord, InboundRecord, InboundSettings } from '../rows/records.ts'
import type { Rows } from '../rows/rows.ts'
import type { Placements } from '../rows/placements.ts'
import type { RowsView } from '../rows/rows-view.ts'
import type { Snapshot } from '../rows/snapshot.ts'

export interface UsersDeps {
  rows: Rows
  placements: Placements
  api: XrayApi
  /** Closes an inbound and opens it with the users of the rows: where Xray must be told of both together. */
  reopen: (inbound: InboundRecord) => Promise<void>
  /** Whether an inbound is closed since its port cannot be had. */
  isHeldBack: (tag: string) => boolean
}

/** What one inbound is to be told. */
interface Wanted {
  /** Ids: whose inbound is gone need not be opened. */
  add: number[]
  /** Names. */
  remove: string[]
}

/** About 5 ms. */
const OPENED_AT_ONCE = 500

export function createUsers({ rows, placements, api, reopen, isHeldBack }: UsersDeps) {
  const userIn = (inbound: InboundSettings, client: ClientRecord): XrayUser => ({
    email: xrayName(client.email, inbound.id),
    account: accountIn(inbound, client),
  })

  function inInbound(inbound: InboundRecord): XrayUser[] {
    if (!hasClients(inbound)) return []
    const clients = rows.clientsIn(inbound.id).filter(isOpen)
    return clients.map((client) => userIn(inbound, client))
  }

  /** The same a little at a time: to open ten thousand credentials takes 0.1 s, in which nobody else would be answered. */
  async function gather(inbound: InboundRecord): Promise<XrayUser[]> {
    if (!hasClients(inbound)) return []
    const users: XrayUser[] = []
    for (const [index, id] of placements.clientsIn(inbound.id).entries()) {
      if (index > 0 && index % OPENED_AT_ONCE === 0) await setImmediate()
      const client = rows.client(id)
      if (client !== undefined && isOpen(client)) users.push(userIn(inbound, client))
    }
    return users
  }

  return {
    /** All that an inbound lets in. */
    inInbound,
    gather,

    /** Users of the scope, each put into or taken out of every inbound it stood in or stands in. */
    async push(before: Snapshot, view: RowsView, reopened: ReadonlySet<number>): Promise<void> {
      for (const [inboundId, { add, remove }] of wantedBy(before, view, placements)) {
        const inbound = view.inbound(inboundId)
        if (inbound === undefined || !isOpen(inbound) || reopened.has(inboundId)) continue
        if (!takesUsersWhileRunning(inbound) || isHeldBack(inbound.tag)) continue
        const leaving = remove.map((email) => xrayName(email, inboundId))
        await api.removeUsers(inbound.tag, leaving)
        const clients = add.map((id) => view.client(id)).filter((client) => client !== undefined)
        const joining = clients.map((client) => userIn(inbound, client))
        await api.addUsers(inbound.tag, joining, { replace: true })
      }
    },

    /** Inbounds that take users only when they are opened, in which a change has altered who may enter and how. */
    alteredFixed: (before: Snapshot, view: RowsView): Set<number> =>
      alteredFixedInbounds(before, view, { rows, placements }, userIn),

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
      for (const user of await gather(inbound)) {
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

/** By inbound: whom it is to let in, and whom no more. Where nothing became of a client, nothing is to be told. */
function wantedBy(before: Snapshot, view: RowsView, placements: Placements): Map<number, Wanted> {
  const olds = new Map(before.clients.map((row) => [Number(row['id']), row]))
  const stood = new Map<number, Set<number>>()
  for (const row of before.placements) {
    const id = Number(row['client_id'])
    stood.set(id, (stood.get(id) ?? new Set()).add(Number(row['inbound_id'])))
  }
  const wanted = new Map<number, Wanted>()
  for (const id of before.scope.clients) {
    const old = olds.get(id)
    // A new one is opened in any case.
    const now = old === undefined ? view.client(id) : placements.client(id)
    const stands = new Set(placements.inboundsOf(id))
    const remains = old !== undefined && now !== undefined && isSame(old, now)
    for (const inboundId of new Set([...(stood.get(id) ?? []), ...stands])) {
      if (remains && stands.has(inboundId) && stood.get(id)?.has(inboundId)) continue
      const lists = wanted.get(inboundId) ?? { add: [], remove: [] }
      wanted.set(inboundId, lists)
      if (now !== undefined && isUsable(now) && stands.has(inboundId)) lists.add.push(id)
      else lists.remove.push(String(old?.['email'] ?? now?.email))
    }
  }
  return wanted
}

const isUsable = ({ enabled, blocked }: { enabled: boolean | number; blocked: string | null }): boolean =>
  isOpen({ enabled: Boolean(enabled), blocked })

/** Whether Xray knows of no difference. Sealed anew, the same credentials count as others: that costs a question. */
function isSame(old: Record<string, unknown>, now: object): boolean {
  return Object.entries(now).every(([column, value]) => old[column] === value)
}
