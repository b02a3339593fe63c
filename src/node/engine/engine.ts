/** Keeps the running Xray in agreement with the rows, and its files ready for the next start. */
import type { RoutingDocument } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import type { XrayApi } from '#src/xray/api/api.ts'
import { countsInbounds } from '#src/xray/config/account.ts'
import { type ConfigDiff, diffConfigs, type RenderedConfig } from '#src/xray/config/diff.ts'
import type { XrayInbound, XrayModel, XrayUser } from '#src/xray/config/model.ts'
import type { XrayProcess } from '#src/xray/life/process.ts'
import { type RenderedInbound, renderInbound } from '#src/xray/config/render-inbound.ts'
import { renderConfig } from '#src/xray/config/render.ts'
import { maskSecrets } from '#src/xray/config/secret-keys.ts'
import { isOpen } from './listeners.ts'
import type { InboundRecord } from '../rows/records.ts'
import type { Rows } from '../rows/rows.ts'
import type { Placements } from '../rows/placements.ts'
import type { RowsView } from '../rows/rows-view.ts'
import type { Snapshot } from '../rows/snapshot.ts'
import { withinOneLife } from './one-life.ts'
import { createMending, type MendingDeps } from './mending.ts'
import { createStructure, type StructureDeps } from './structure.ts'
import { createUsers } from './users.ts'

export interface EngineDeps {
  rows: Rows
  placements: Placements
  process: XrayProcess
  api: XrayApi
  /** Opens an inbound in the running Xray, with the users in it. */
  openInbound: (inbound: RenderedInbound) => Promise<void>
  /** Where the certificate of a domain lies that this server holds; null: it holds none. */
  certificateFiles: (domain: string) => { certificateFile: string; keyFile: string } | null
  routing: () => RoutingDocument
  /** A sealed document of a row; undefined: none was there. */
  openRouting: (sealed: unknown) => RoutingDocument
  compile: StructureDeps['compile']
  findClosed: MendingDeps['findClosed']
  testConfig: MendingDeps['testConfig']
  log: Log
  paths: { socket: string; logDir: string }
  /** What Xray writes its access log to; null: nothing. */
  accessLog: () => string | null
  allowPrivateTargets: boolean
}

export type Engine = ReturnType<typeof createEngine>

export function createEngine(deps: EngineDeps) {
  const { rows, process, api, paths, allowPrivateTargets, log } = deps

  function forXray(inbound: InboundRecord): XrayInbound {
    const { security } = inbound.stream
    const certificate = security.type === 'tls' ? security.certificate : null
    const certificateFiles =
      certificate?.source === 'store' ? deps.certificateFiles(certificate.domain) : null
    return { ...inbound, certificateFiles }
  }

  function modelWith(inbounds: InboundRecord[], usersOf: (inbound: InboundRecord) => XrayUser[]): XrayModel {
    return {
      inbounds: inbounds.filter(isOpen).map((inbound) => ({ ...forXray(inbound), users: usersOf(inbound) })),
      routing: deps.routing(),
      countsInbounds: countsInbounds(inbounds),
      apiSocket: paths.socket,
      logDir: paths.logDir,
      accessLog: deps.accessLog(),
      allowPrivateTargets,
    }
  }

  /** What Xray is to be, with `inbounds` in place of those in the rows where given (to test a change before it is made). */
  const model = (inbounds = rows.inbounds(), withUsers = true): XrayModel =>
    modelWith(inbounds, (inbound) => (withUsers ? users.inInbound(inbound) : []))

  /** The whole configuration: of the rows, or of what they may become. */
  const render = (of: XrayModel = model()): RenderedConfig => renderConfig(of)

  /** The same, without a halt: for inside a change, in which no other comes between. */
  async function renderGently(): Promise<RenderedConfig> {
    const inbounds = rows.inbounds()
    const gathered = new Map<number, XrayUser[]>()
    for (const inbound of inbounds.filter(isOpen)) gathered.set(inbound.id, await users.gather(inbound))
    return renderConfig(modelWith(inbounds, ({ id }) => gathered.get(id) ?? []))
  }

  async function openInbound(inbound: InboundRecord): Promise<void> {
    await deps.openInbound(renderInbound(forXray(inbound), await users.gather(inbound)))
    process.release(inbound.tag)
  }

  async function closeInbound(tag: string): Promise<void> {
    await api.removeInbound(tag)
    process.release(tag)
  }

  /** Closes it first: Xray must be told of some users together with the listener. What is connected stays so. */
  async function reopen(inbound: InboundRecord): Promise<void> {
    await closeInbound(inbound.tag)
    await openInbound(inbound)
  }

  /** What is closed since its port cannot be had takes its users along when it opens. */
  const isHeldBack = (tag: string): boolean => process.state().heldBack.some((held) => held.tag === tag)

  const users = createUsers({ rows, placements: deps.placements, api, reopen, isHeldBack })
  const structure = createStructure({
    api,
    closeInbound,
    compile: deps.compile,
    protocolOf: (tag) => rows.inboundByTag(tag)?.protocol,
    async openInbound(tag) {
      const { id } = rows.inboundByTag(tag) ?? {}
      const inbound = id === undefined ? undefined : rows.inbound(id)
      if (inbound !== undefined) await openInbound(inbound)
    },
  })

  /**
   * Without users: they are told apart by another way. And with one answer to whether inbounds are counted: Xray reads
   * that at its start, and no inbound is worth a restart for being counted before the next.
   */
  const structureOf = (inbounds?: InboundRecord[], routing?: RoutingDocument): RenderedConfig => {
    const bare = model(inbounds, false)
    return renderConfig({ ...bare, countsInbounds: false, routing: routing ?? bare.routing })
  }

  const mending = createMending({
    ...deps,
    users,
    structure,
    model,
    render,
    structureOf,
    forXray,
    openInbound,
    closeInbound,
  })

  /** What a change of inbounds or ways out means to Xray, given the rows as they were before it. */
  function differenceSince({ scope, inbounds, routings }: Snapshot): ConfigDiff {
    if (scope.inbounds.length === 0 && scope.routing !== true) return { steps: [], restart: [], changed: [] }
    const now = rows.inbounds()
    const others = now.filter(({ id }) => !scope.inbounds.includes(id))
    const then = [...others, ...inbounds.map((raw) => rows.inboundOf(raw))].toSorted((a, b) => a.id - b.id)
    const before = structureOf(
      then,
      scope.routing === true ? deps.openRouting(routings?.[0]?.['document']) : undefined,
    )
    return diffConfigs(before, structureOf())
  }

  /** @returns inbounds that were opened with all of their users */
  async function pushStructure({ steps }: ConfigDiff): Promise<Set<number>> {
    // Most changes are of clients alone, and none of them is to pay for looking at all inbounds.
    if (steps.length === 0) return new Set()
    await structure.follow(steps, structureOf())
    const opened = steps.flatMap((step) =>
      step.do === 'open inbound' ? [rows.inboundByTag(step.tag)?.id] : [],
    )
    return new Set(opened.filter((id) => id !== undefined))
  }

  /** Once: after a kill that came later, another Xray may run than before, which began with the rows as they are. */
  async function restartFor(restart: readonly string[], { command }: Snapshot): Promise<void> {
    const isAnother = command !== undefined && command.xrayBefore !== process.state().startedAt
    if (isAnother && (await mending.missedAtStart()).length === 0) return
    log.info({ restart }, 'Xray restarts, as a change needs it')
    await process.restart(render)
  }

  /** Whether clients have changed since the file was written. */
  let isFileBehind = false

  return {
    model,
    render,
    /** What it would mean to Xray if it were to be this. */
    difference: (next: XrayModel): ConfigDiff =>
      diffConfigs(structureOf(), structureOf(undefined, next.routing)),
    differenceSince,

    /**
     * Makes the running Xray agree with the rows of a change. Without a running Xray there is nothing to tell: the
     * next start renders the rows. One that is starting may have been rendered before them, and is told when it runs.
     * Repeating it is harmless.
     */
    async push(before: Snapshot, now: RowsView): Promise<void> {
      await process.settled()
      const difference = differenceSince(before)
      const altered = users.alteredFixed(before, now)
      const { changed } = difference
      if (process.state().running) {
        const restart = await structure.restartReasons(difference)
        if (restart.length > 0) return restartFor(restart, before)
        if (changed.length > 0) log.info({ changed }, 'Xray follows a change while it runs')
        await withinOneLife(process, async () => {
          const opened = await pushStructure(difference)
          await users.push(before, now, opened)
          await users.pushFixed(altered, opened)
        })
      }
      // Client changes stay out of the file: it would be megabytes for each of them, and a start renders it anyway.
      // But for users that are told with their inbound: nothing else says later whom Xray knows there.
      if (changed.length > 0 || altered.size > 0) await process.writeConfig(await renderGently())
      else isFileBehind = true
    },

    /** Brings clients in the file up to date, for a start without us: see last-resort.ts. Inside a turn of its own. */
    async keepFile(): Promise<void> {
      if (!isFileBehind || process.state().onPreviousConfig) return
      await process.refreshConfig(await renderGently())
      isFileBehind = false
    },

    ...mending,

    start: () => process.start(render),
    restart: () => process.restart(render),
    stop: () => process.stop(),
    adopt: () => process.adopt(),
    detach: () => process.detach(),
    state: () => process.state(),
    setRender: () => process.setRender(render),
    counters: () => api.counters(),

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
