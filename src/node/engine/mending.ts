/** Brings the running Xray to what the rows say, whatever it has been told: after a start, a copy put back, a port set free. */
import type { Log } from '#src/log.ts'
import { takesUsersWhileRunning } from '#src/xray/config/account.ts'
import type { XrayApi } from '#src/xray/api/api.ts'
import { atStartOnly, type RenderedConfig } from '#src/xray/config/diff.ts'
import { type HeldBack, portReason } from '#src/xray/life/held-back.ts'
import type { XrayInbound, XrayModel } from '#src/xray/config/model.ts'
import type { XrayProcess } from '#src/xray/life/process.ts'
import { renderInbound } from '#src/xray/config/render-inbound.ts'
import { renderConfig } from '#src/xray/config/render.ts'
import { apiTag } from '#src/xray/config/tags.ts'
import { isOpen, listenerOf } from './listeners.ts'
import type { InboundRecord } from '../rows/records.ts'
import type { Rows } from '../rows/rows.ts'
import type { createStructure } from './structure.ts'
import type { createUsers } from './users.ts'

export interface MendingDeps {
  rows: Rows
  process: XrayProcess
  api: XrayApi
  log: Log
  users: ReturnType<typeof createUsers>
  structure: ReturnType<typeof createStructure>
  model: (inbounds?: InboundRecord[], withUsers?: boolean) => XrayModel
  /** The whole configuration, of the rows. */
  render: () => RenderedConfig
  structureOf: () => RenderedConfig
  forXray: (inbound: InboundRecord) => XrayInbound
  openInbound: (inbound: InboundRecord) => Promise<void>
  closeInbound: (tag: string) => Promise<void>
  /** Inbounds of a configuration that could not be opened now, because of their ports. */
  findClosed: (config: object) => Promise<HeldBack[]>
  /** @throws XRAY_REFUSED */
  testConfig: (config: object) => Promise<void>
}

export function createMending(deps: MendingDeps) {
  const {
    rows,
    process,
    api,
    log,
    users,
    structure,
    model,
    render,
    structureOf,
    forXray,
    openInbound,
    closeInbound,
  } = deps

  /** Inbounds of which Xray has ended, by tag, as they were then: of the same it would end again, and again. */
  const deadly = new Map<string, string>()

  /**
   * Opens an inbound, or holds it back because of its port, or since Xray has ended of it: that must not keep the others
   * from being looked after.
   */
  async function openOrHold(inbound: InboundRecord): Promise<boolean> {
    const { tag } = inbound
    const rendered = renderInbound(forXray(inbound), [])
    const shape = JSON.stringify(rendered)
    if (deadly.get(tag) === shape) {
      process.holdBack({ tag, reason: 'Xray ended when it was opened' })
      return false
    }
    const [closed] = await deps.findClosed({ inbounds: [rendered] })
    const { startedAt } = process.state()
    try {
      if (closed === undefined) {
        await openInbound(inbound)
        return true
      }
      process.holdBack(closed)
    } catch (error) {
      const reason = portReason(error, inbound)
      if (reason === null) {
        await process.noticeEnd()
        if (process.state().startedAt !== startedAt) deadly.set(tag, shape)
        throw error
      }
      process.holdBack({ tag, reason })
    }
    return false
  }

  /**
   * Compares all of the running Xray with the rows and mends every difference. Returns how many there were.
   * @param reopen inbounds that may listen otherwise than in the rows, which Xray cannot be asked about
   */
  async function reconcile(reopen: readonly number[]): Promise<number> {
    await process.settled()
    // The next start renders the rows.
    if (!process.state().running) return 0
    let mended = await structure.mendWaysOut(structureOf())
    const wanted = rows.inbounds().filter(isOpen)
    const present = new Set(await api.inboundTags())
    for (const tag of present) {
      if (tag === apiTag) continue
      if (wanted.some((inbound) => inbound.tag === tag && !reopen.includes(inbound.id))) continue
      await closeInbound(tag)
      present.delete(tag)
      mended++
    }
    for (const inbound of wanted) {
      if (present.has(inbound.tag)) mended += await users.mend(inbound)
      else if (await openOrHold(inbound)) mended++
    }
    // The file tells what Xray was told: left as it was, the same would be opened anew at every start of ours.
    if (mended > 0) await process.writeConfig(render())
    return mended
  }

  const toldFile = async (): Promise<RenderedConfig | null> =>
    (await process.readConfig()) as RenderedConfig | null

  /** What of this file is read at a start only, and is other than the rows have it. */
  const startOnlyIn = (file: RenderedConfig | null): string[] =>
    file === null ? [] : atStartOnly(file, renderConfig(model(undefined, false)))

  /**
   * Inbounds that the running Xray was told of otherwise than they stand in the rows: a copy of the database was put
   * back while it ran on. Xray cannot be asked how it listens, but its file holds every structural change.
   * @param rowsToBe in place of those in the rows, where they are about to be others
   */
  async function strayed(rowsToBe = rows.inbounds()): Promise<number[]> {
    const file = await toldFile()
    const { inbounds = [] } = file ?? {}
    const restart = startOnlyIn(file)
    if (restart.length > 0) log.warn({ restart }, 'Xray runs with what it will not have after its next start')
    const told = new Map(inbounds.map((inbound) => [inbound.tag, inbound]))
    const astray = rowsToBe.filter((row) => {
      const there = told.get(row.tag)
      if (there === undefined) return true
      const wanted = renderInbound(forXray(row), takesUsersWhileRunning(row) ? [] : users.inInbound(row))
      return listenerOf(there, row) !== listenerOf(wanted, row)
    })
    return astray.map(({ id }) => id)
  }

  return {
    reconcile,
    strayed,
    /** What the rows want of Xray that it reads at its start only, and did not at its last one. */
    missedAtStart: async (): Promise<string[]> => startOnlyIn(await toldFile()),

    /** Opens the inbounds whose ports could not be had, as far as they now can. Returns their tags. */
    async openHeldBack(): Promise<string[]> {
      const opened: string[] = []
      const wanted = rows.inbounds().filter(isOpen)
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
  }
}
