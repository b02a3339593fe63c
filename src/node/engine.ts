/** Keeps the running Xray in agreement with the rows, and its files ready for the next start. */
import type { RoutingDocument } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { XrayApi } from '#src/xray/api.ts'
import { accountIn, countsInbounds, hasClients, takesUsersWhileRunning } from '#src/xray/account.ts'
import type { XrayInbound, XrayModel, XrayUser } from '#src/xray/model.ts'
import type { XrayProcess } from '#src/xray/process.ts'
import { type RenderedInbound, nobodyOf, renderInbound } from '#src/xray/render-inbound.ts'
import { maskSecrets, renderConfig } from '#src/xray/render.ts'
import { isSameUser } from '#src/xray/user-message.ts'
import { alteredFixedInbounds } from './fixed-users.ts'
import { isOpen, listenerOf, sameListener, wasOpen } from './listeners.ts'
import type { ClientRecord, InboundRecord, InboundSettings, Rows } from './rows.ts'
import type { RowsView } from './rows-view.ts'
import type { Snapshot } from './snapshot.ts'
import { parseXrayName, xrayName } from '#src/xray/user-name.ts'

export interface EngineDeps {
  rows: Rows
  process: XrayProcess
  api: XrayApi
  /** Opens an inbound in the running Xray, with the users in it. */
  openInbound: (inbound: RenderedInbound) => Promise<void>
  /** Where the certificate of a domain lies that this server holds; null: it holds none. */
  certificateFiles: (domain: string) => { certificateFile: string; keyFile: string } | null
  routing: () => RoutingDocument
  paths: { socket: string; logDir: string }
  allowPrivateTargets: boolean
}

export type Engine = ReturnType<typeof createEngine>

export function createEngine(deps: EngineDeps) {
  const { rows, process, api, paths, allowPrivateTargets } = deps

  const userIn = (inbound: InboundSettings, client: ClientRecord): XrayUser => ({
    email: xrayName(client.email, inbound.id),
    account: accountIn(inbound, client),
  })

  function users(inbound: InboundRecord): XrayUser[] {
    if (!hasClients(inbound)) return []
    const clients = rows.clientsIn(inbound.id).filter(isOpen)
    return clients.map((client) => userIn(inbound, client))
  }

  function forXray(inbound: InboundRecord): XrayInbound {
    const { security } = inbound.stream
    const certificate = security.type === 'tls' ? security.certificate : null
    const certificateFiles =
      certificate?.source === 'store' ? deps.certificateFiles(certificate.domain) : null
    return { ...inbound, certificateFiles }
  }

  /** What Xray is to be, with `inbounds` in place of those in the rows where given (to test a change before it is made). */
  function model(inbounds = rows.inbounds(), withUsers = true): XrayModel {
    return {
      inbounds: inbounds
        .filter(isOpen)
        .map((inbound) => ({ ...forXray(inbound), users: withUsers ? users(inbound) : [] })),
      routing: deps.routing(),
      countsInbounds: countsInbounds(inbounds),
      apiSocket: paths.socket,
      logDir: paths.logDir,
      allowPrivateTargets,
    }
  }

  const render = (): object => renderConfig(model())

  async function openInbound(inbound: InboundRecord): Promise<void> {
    await deps.openInbound(renderInbound(forXray(inbound), users(inbound)))
  }

  /** Closes it first: after a kill it may be there already, as it is or half made. What is connected stays so. */
  async function reopen(inbound: InboundRecord): Promise<void> {
    await api.removeInbound(inbound.tag)
    await openInbound(inbound)
  }

  async function pushInbounds(before: Snapshot): Promise<Set<number>> {
    const reopened = new Set<number>()
    for (const id of before.scope.inbounds) {
      const old = before.inbounds.find((row) => row['id'] === id)
      const now = rows.inbound(id)
      if (old !== undefined && now !== undefined && sameListener(old, now)) continue
      if (old !== undefined && wasOpen(old)) await api.removeInbound(String(old['tag']))
      if (now !== undefined && isOpen(now)) await reopen(now)
      reopened.add(id)
    }
    return reopened
  }

  /** Users of the scope, each put into or taken out of every inbound it stood in or stands in. */
  async function pushUsers(before: Snapshot, view: RowsView, reopened: Set<number>): Promise<void> {
    const wanted = new Map<number, { add: ClientRecord[]; remove: string[] }>()
    for (const id of before.scope.clients) {
      const old = before.clients.find((row) => row['id'] === id)
      const now = view.client(id)
      const stood = before.placements
        .filter((row) => row['client_id'] === id)
        .map((row) => Number(row['inbound_id']))
      for (const inboundId of new Set([...stood, ...(now?.inbounds ?? [])])) {
        const lists = wanted.get(inboundId) ?? { add: [], remove: [] }
        wanted.set(inboundId, lists)
        if (now !== undefined && isOpen(now) && now.inbounds.includes(inboundId)) lists.add.push(now)
        else lists.remove.push(String(old?.['email'] ?? now?.email))
      }
    }
    for (const [inboundId, { add, remove }] of wanted) {
      const inbound = view.inbound(inboundId)
      if (inbound === undefined || !isOpen(inbound) || reopened.has(inboundId)) continue
      if (!takesUsersWhileRunning(inbound)) continue
      for (const email of remove) await api.removeUser(inbound.tag, xrayName(email, inboundId))
      const joining = add.map((client) => userIn(inbound, client))
      await api.addUsers(inbound.tag, joining, { replace: true })
    }
  }

  async function pushFixedUsers(altered: Set<number>, reopened: Set<number>): Promise<void> {
    for (const id of altered) {
      const inbound = rows.inbound(id)
      if (inbound !== undefined && isOpen(inbound) && !reopened.has(id)) await reopen(inbound)
    }
  }

  return {
    model,
    render,

    /**
     * Makes the running Xray agree with the rows of a change. Without a running Xray there is nothing to tell: the
     * next start renders the rows. Repeating it is harmless.
     */
    async push(before: Snapshot, now: RowsView): Promise<void> {
      const altered = alteredFixedInbounds(before, now, rows, userIn)
      if (process.state().running) {
        try {
          const reopened = await pushInbounds(before)
          await pushUsers(before, now, reopened)
          await pushFixedUsers(altered, reopened)
        } catch (error) {
          if (process.state().running) throw error
        }
      }
      // Client changes stay out of the file: it would be megabytes for each of them, and a start renders it anyway.
      // But for users that are told with their inbound: nothing else says later whom Xray knows there.
      if (before.scope.inbounds.length > 0 || altered.size > 0) await process.writeConfig(render())
    },

    /**
     * Compares all of the running Xray with the rows and mends every difference. Returns how many there were.
     * @param reopen inbounds that may listen otherwise than in the rows, which Xray cannot be asked about
     */
    async reconcile(reopen: readonly number[]): Promise<number> {
      if (!process.state().running) return 0
      let mended = 0
      const wanted = rows.inbounds().filter(isOpen)
      const present = new Set(await api.inboundTags())
      for (const tag of present) {
        if (tag === 'api') continue
        if (wanted.some((inbound) => inbound.tag === tag && !reopen.includes(inbound.id))) continue
        await api.removeInbound(tag)
        present.delete(tag)
        mended++
      }
      for (const inbound of wanted) {
        if (!present.has(inbound.tag)) {
          await openInbound(inbound)
          mended++
          continue
        }
        if (!hasClients(inbound) || !takesUsersWhileRunning(inbound)) continue
        const there = new Map((await api.users(inbound.tag)).map((user) => [user.email.toLowerCase(), user]))
        there.delete(nobodyOf(inbound.tag).toLowerCase())
        const missing: XrayUser[] = []
        for (const user of users(inbound)) {
          const found = there.get(user.email.toLowerCase())
          there.delete(user.email.toLowerCase())
          if (found !== undefined && isSameUser(found, user)) continue
          // To some protocols the same name in other letters is another one.
          if (found !== undefined && found.email !== user.email)
            await api.removeUser(inbound.tag, found.email)
          missing.push(user)
        }
        for (const stranger of there.values()) await api.removeUser(inbound.tag, stranger.email)
        await api.addUsers(inbound.tag, missing, { replace: true })
        mended += missing.length + there.size
      }
      // The file tells what Xray was told: left as it was, the same would be opened anew at every start of ours.
      if (mended > 0) await process.writeConfig(render())
      return mended
    },

    /**
     * Inbounds that the running Xray was told of otherwise than they stand in the rows: a copy of the database was put
     * back while it ran on. Xray cannot be asked how it listens, but its file holds every structural change.
     */
    async strayed(): Promise<number[]> {
      const { inbounds = [] } = ((await process.readConfig()) ?? {}) as { inbounds?: RenderedInbound[] }
      const told = new Map(inbounds.map((inbound) => [inbound.tag, inbound]))
      const strayed = rows.inbounds().filter((row) => {
        const there = told.get(row.tag)
        if (there === undefined) return true
        const wanted = renderInbound(forXray(row), takesUsersWhileRunning(row) ? [] : users(row))
        return listenerOf(there, row) !== listenerOf(wanted, row)
      })
      return strayed.map(({ id }) => id)
    },

    start: () => process.start(render),
    restart: () => process.restart(render),
    stop: () => process.stop(),
    adopt: () => process.adopt(),
    detach: () => process.detach(),
    state: () => process.state(),
    setRender: () => process.setRender(render),
    counters: () => api.counters(),

    /** Who is connected, a client of several inbounds once; addresses with when they were last seen, s. */
    async online(): Promise<{ email: string; ips: { ip: string; lastSeen: number }[] }[]> {
      const byClient = new Map<string, { ip: string; lastSeen: number }[]>()
      for (const { email: name, ips } of await api.online()) {
        const email = parseXrayName(name)?.email
        if (email !== undefined) byClient.set(email, [...(byClient.get(email) ?? []), ...ips])
      }
      return [...byClient].map(([email, ips]) => ({ email, ips }))
    },

    /** The configuration for people: keys and credentials masked unless they are asked for. */
    config: (reveal: boolean): Record<string, unknown> =>
      (reveal ? render() : maskSecrets(render())) as Record<string, unknown>,

    /** @throws FleetError XRAY_UNAVAILABLE */
    requireRunning(): void {
      const { running, lastError } = process.state()
      if (!running) fail('XRAY_UNAVAILABLE', { reason: lastError ?? 'it is stopped' })
    },
  }
}
