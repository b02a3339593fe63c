/** Keeps the running Xray in agreement with the rows, and its files ready for the next start. */
import { fail } from '#src/errors.ts'
import { flowIn } from '#src/xray/flow.ts'
import { portReason } from '#src/xray/held-back.ts'
import type { XrayModel, XrayUser } from '#src/xray/model.ts'
import { type RenderedInbound, maskSecrets, renderConfig, renderInbound } from '#src/xray/render.ts'
import { listenerOf, sameListener } from './listeners.ts'
import type { ClientRecord, InboundRecord, InboundSettings, Rows } from './rows.ts'
import type { RowsView } from './rows-view.ts'
import type { Snapshot } from './snapshot.ts'
import { parseXrayName, xrayName } from './xray-name.ts'
import type { XrayParts } from './xray-parts.ts'

export interface EngineDeps extends Pick<
  XrayParts,
  'process' | 'api' | 'openInbound' | 'findClosed' | 'testConfig'
> {
  rows: Rows
  paths: { socket: string; logDir: string }
  allowPrivateTargets: boolean
}

export type Engine = ReturnType<typeof createEngine>

export function createEngine(deps: EngineDeps) {
  const { rows, process, api, paths, allowPrivateTargets } = deps

  function userIn({ id, stream }: InboundSettings, { email, uuid, flow }: ClientRecord): XrayUser {
    return { email: xrayName(email, id), uuid, flow: flowIn(flow, stream) }
  }

  function users(inbound: InboundRecord): XrayUser[] {
    const clients = rows.clientsIn(inbound.id).filter((client) => client.enabled)
    return clients.map((client) => userIn(inbound, client))
  }

  /** What Xray is to be, with `inbounds` in place of those in the rows where given (to test a change before it is made). */
  function model(inbounds = rows.inbounds(), withUsers = true): XrayModel {
    return {
      inbounds: inbounds
        .filter((inbound) => inbound.enabled)
        .map((inbound) => ({ ...inbound, users: withUsers ? users(inbound) : [] })),
      apiSocket: paths.socket,
      logDir: paths.logDir,
      allowPrivateTargets,
    }
  }

  const render = (): object => renderConfig(model())

  async function openInbound(inbound: InboundRecord): Promise<void> {
    await deps.openInbound(renderInbound(inbound, users(inbound)))
    process.release(inbound.tag)
  }

  async function closeInbound(tag: string): Promise<void> {
    await api.removeInbound(tag)
    process.release(tag)
  }

  /** Opens an inbound, or holds it back because of its port: that must not keep the others from being looked after. */
  async function openOrHold(inbound: InboundRecord): Promise<boolean> {
    const [closed] = await deps.findClosed({ inbounds: [renderInbound(inbound, [])] })
    try {
      if (closed === undefined) {
        await openInbound(inbound)
        return true
      }
      process.holdBack(closed)
    } catch (error) {
      const reason = portReason(error, inbound)
      if (reason === null) throw error
      process.holdBack({ tag: inbound.tag, reason })
    }
    return false
  }

  async function pushInbounds(before: Snapshot): Promise<Set<number>> {
    const reopened = new Set<number>()
    for (const id of before.scope.inbounds) {
      const old = before.inbounds.find((row) => row['id'] === id)
      const now = rows.inbound(id)
      if (old !== undefined && now !== undefined && sameListener(old, now)) continue
      if (old?.['enabled'] === 1) await closeInbound(String(old['tag']))
      if (now?.enabled === true) {
        // After a kill it may be there already, as it is or half made.
        await api.removeInbound(now.tag)
        await openInbound(now)
      }
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
        if (now?.enabled === true && now.inbounds.includes(inboundId)) lists.add.push(now)
        else lists.remove.push(String(old?.['email'] ?? now?.email))
      }
    }
    // One that is closed takes its users along when it opens.
    const closed = new Set(process.state().heldBack.map(({ tag }) => tag))
    for (const [inboundId, { add, remove }] of wanted) {
      const inbound = view.inbound(inboundId)
      if (inbound === undefined || !inbound.enabled || reopened.has(inboundId)) continue
      if (closed.has(inbound.tag)) continue
      for (const email of remove) await api.removeUser(inbound.tag, xrayName(email, inboundId))
      const joining = add.map((client) => userIn(inbound, client))
      await api.addUsers(inbound.tag, joining, { replace: true })
    }
  }

  /**
   * Compares all of the running Xray with the rows and mends every difference. Returns how many there were.
   * @param reopen inbounds that may listen otherwise than in the rows, which Xray cannot be asked about
   */
  async function reconcile(reopen: readonly number[]): Promise<number> {
    if (!process.state().running) return 0
    let mended = 0
    const wanted = rows.inbounds().filter((inbound) => inbound.enabled)
    const present = new Set(await api.inboundTags())
    for (const tag of present) {
      if (tag === 'api') continue
      if (wanted.some((inbound) => inbound.tag === tag && !reopen.includes(inbound.id))) continue
      await closeInbound(tag)
      present.delete(tag)
      mended++
    }
    for (const inbound of wanted) {
      if (!present.has(inbound.tag)) {
        if (await openOrHold(inbound)) mended++
        continue
      }
      const there = new Map((await api.users(inbound.tag)).map((user) => [user.email.toLowerCase(), user]))
      const missing: XrayUser[] = []
      for (const user of users(inbound)) {
        const found = there.get(user.email.toLowerCase())
        there.delete(user.email.toLowerCase())
        if (found?.email !== user.email || found.uuid !== user.uuid || found.flow !== user.flow)
          missing.push(user)
      }
      for (const stranger of there.values()) await api.removeUser(inbound.tag, stranger.email)
      await api.addUsers(inbound.tag, missing, { replace: true })
      mended += missing.length + there.size
    }
    return mended
  }

  /**
   * Inbounds that the running Xray was told of otherwise than they stand in the rows: a copy of the database was put
   * back while it ran on. Xray cannot be asked how it listens, but its file holds every structural change.
   */
  async function strayed(): Promise<number[]> {
    const { inbounds = [] } = ((await process.readConfig()) ?? {}) as { inbounds?: RenderedInbound[] }
    const told = new Map(inbounds.map((inbound) => [inbound.tag, listenerOf(inbound)]))
    return rows
      .inbounds()
      .filter((row) => (told.get(row.tag) ?? '') !== listenerOf(renderInbound(row, [])))
      .map(({ id }) => id)
  }

  return {
    model,
    render,
    reconcile,
    strayed,

    /**
     * Makes the running Xray agree with the rows of a change. Without a running Xray there is nothing to tell: the
     * next start renders the rows. Repeating it is harmless.
     */
    async push(before: Snapshot, now: RowsView): Promise<void> {
      if (process.state().running) {
        try {
          await pushUsers(before, now, await pushInbounds(before))
        } catch (error) {
          if (process.state().running) throw error
        }
      }
      // Client changes stay out of the file: it would be megabytes for each of them, and a start renders it anyway.
      if (before.scope.inbounds.length > 0) await process.writeConfig(render())
    },

    /** Opens the inbounds whose ports could not be had, as far as they now can. Returns their tags. */
    async openHeldBack(): Promise<string[]> {
      const opened: string[] = []
      const wanted = rows.inbounds().filter((inbound) => inbound.enabled)
      for (const { tag } of process.state().heldBack) {
        const inbound = wanted.find((row) => row.tag === tag)
        if (inbound === undefined) process.release(tag)
        else if (await openOrHold(inbound)) opened.push(tag)
      }
      // The file has been without them.
      if (opened.length > 0) await process.writeConfig(render())
      return opened
    },

    /** Brings an Xray that was started with an older configuration to the present one, if it would start with that. */
    async catchUp(): Promise<void> {
      const config = render()
      await deps.testConfig(config)
      await reconcile(await strayed())
      await process.writeConfig(config)
      process.acceptConfig()
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
