/** Keeps the running Xray in agreement with the rows, and its files ready for the next start. */
import type { RoutingDocument } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import type { XrayApi } from '#src/xray/api.ts'
import { takesUsersWhileRunning } from '#src/xray/account.ts'
import { type ConfigDiff, diffConfigs, type RenderedConfig } from '#src/xray/diff.ts'
import type { XrayInbound, XrayModel } from '#src/xray/model.ts'
import type { XrayProcess } from '#src/xray/process.ts'
import { type RenderedInbound, renderInbound } from '#src/xray/render-inbound.ts'
import { renderConfig } from '#src/xray/render.ts'
import { maskSecrets } from '#src/xray/secret-keys.ts'
import { parseXrayName } from '#src/xray/user-name.ts'
import { isOpen, listenerOf } from './listeners.ts'
import type { Placements } from './placements.ts'
import type { InboundRecord, Rows } from './rows.ts'
import type { RowsView } from './rows-view.ts'
import type { Snapshot } from './snapshot.ts'
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
  /** What must be known of an Xray before it ends: its counters go with it. */
  beforeRestart: () => Promise<void>
  log: Log
  paths: { socket: string; logDir: string }
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

  /** What Xray is to be, with `inbounds` in place of those in the rows where given (to test a change before it is made). */
  function model(inbounds = rows.inbounds(), withUsers = true): XrayModel {
    return {
      inbounds: inbounds
        .filter(isOpen)
        .map((inbound) => ({ ...forXray(inbound), users: withUsers ? users.inInbound(inbound) : [] })),
      routing: deps.routing(),
      apiSocket: paths.socket,
      logDir: paths.logDir,
      allowPrivateTargets,
    }
  }

  const render = (): object => renderConfig(model())

  /** The same, without a halt: for inside a change, in which no other comes between. */
  async function renderGently(): Promise<RenderedConfig> {
    const inbounds: XrayModel['inbounds'] = []
    for (const inbound of rows.inbounds().filter(isOpen))
      inbounds.push({ ...forXray(inbound), users: await users.gather(inbound) })
    return renderConfig({ ...model([]), inbounds })
  }

  async function openInbound(inbound: InboundRecord): Promise<void> {
    await deps.openInbound(renderInbound(forXray(inbound), await users.gather(inbound)))
  }

  /** Closes it first: Xray must be told of some users together with the listener. What is connected stays so. */
  async function reopen(inbound: InboundRecord): Promise<void> {
    await api.removeInbound(inbound.tag)
    await openInbound(inbound)
  }

  const users = createUsers({ rows, placements: deps.placements, api, reopen })
  const structure = createStructure({
    api,
    compile: deps.compile,
    async openInbound(tag) {
      const { id } = rows.inboundByTag(tag) ?? {}
      const inbound = id === undefined ? undefined : rows.inbound(id)
      if (inbound !== undefined) await openInbound(inbound)
    },
  })

  /** Without users: they are told apart by another way. */
  const structureOf = (inbounds?: InboundRecord[], routing?: RoutingDocument): RenderedConfig => {
    const bare = model(inbounds, false)
    return renderConfig({ ...bare, routing: routing ?? bare.routing })
  }

  /** What a change of inbounds or ways out means to Xray, given the rows as they were before it. */
  function differenceSince({ scope, inbounds, routings }: Snapshot): ConfigDiff {
    if (scope.inbounds.length === 0 && scope.routing !== true) return { steps: [], restart: [], changed: [] }
    const others = rows.inbounds().filter(({ id }) => !scope.inbounds.includes(id))
    const before = structureOf(
      [...others, ...inbounds.map((raw) => rows.inboundOf(raw))].toSorted((a, b) => a.id - b.id),
      scope.routing === true ? deps.openRouting(routings[0]?.['document']) : undefined,
    )
    return diffConfigs(before, structureOf())
  }

  /** @returns inbounds that were opened with all of their users */
  async function pushStructure({ steps }: ConfigDiff): Promise<Set<number>> {
    await structure.follow(steps, structureOf())
    const opened = steps.flatMap((step) =>
      step.do === 'open inbound' ? [rows.inboundByTag(step.tag)?.id] : [],
    )
    return new Set(opened.filter((id) => id !== undefined))
  }

  /** Once: after a kill that came later, another Xray runs than before, and it began with the rows as they are. */
  async function restartFor({ restart }: ConfigDiff, { command }: Snapshot): Promise<void> {
    if (command !== undefined && command.xrayBefore !== process.state().startedAt) return
    log.info({ restart }, 'Xray restarts, as a change needs it')
    await deps.beforeRestart()
    await process.restart(render)
  }

  return {
    model,
    /** The whole configuration: of the rows, or of what they may become. */
    render: (of: XrayModel = model()): RenderedConfig => renderConfig(of),
    /** What it would mean to Xray if it were to be this. */
    difference: (next: XrayModel): ConfigDiff =>
      diffConfigs(structureOf(), structureOf(undefined, next.routing)),
    differenceSince,

    /**
     * Makes the running Xray agree with the rows of a change. Without a running Xray there is nothing to tell: the
     * next start renders the rows. Repeating it is harmless.
     */
    async push(before: Snapshot, now: RowsView): Promise<void> {
      const difference = differenceSince(before)
      const { changed, restart } = difference
      if (restart.length > 0 && process.state().running) return restartFor(difference, before)
      if (process.state().running) {
        if (changed.length > 0) log.info({ changed }, 'Xray follows a change while it runs')
        try {
          await users.push(before, now, await pushStructure(difference))
        } catch (error) {
          if (process.state().running) throw error
        }
      }
      // Client changes stay out of the file: it would be megabytes for each of them, and a start renders it anyway.
      if (changed.length > 0 || users.touchesFixed(before, now))
        await process.writeConfig(await renderGently())
    },

    /**
     * Compares all of the running Xray with the rows and mends every difference. Returns how many there were.
     * @param reopen inbounds that may listen otherwise than in the rows, which Xray cannot be asked about
     */
    async reconcile(reopen: readonly number[]): Promise<number> {
      if (!process.state().running) return 0
      let mended = await structure.mendWaysOut(structureOf())
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
        mended += await users.mend(inbound)
      }
      return mended
    },

    /**
     * Inbounds that the running Xray was told of otherwise than they stand in the rows: a copy of the database was put
     * back while it ran on. Xray cannot be asked how it listens, but its file holds every structural change.
     */
    async strayed(): Promise<number[]> {
      const file = (await process.readConfig()) as RenderedConfig | null
      const { inbounds = [] } = file ?? {}
      const { restart } = file === null ? { restart: [] } : diffConfigs(file, structureOf())
      if (restart.length > 0)
        log.warn({ restart }, 'Xray runs with what it will not have after its next start')
      const told = new Map(inbounds.map((inbound) => [inbound.tag, inbound]))
      const strayed = rows.inbounds().filter((row) => {
        const there = told.get(row.tag)
        if (there === undefined) return true
        const wanted = renderInbound(forXray(row), takesUsersWhileRunning(row) ? [] : users.inInbound(row))
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
