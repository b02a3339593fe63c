/** Everything of the running Xray but its users: inbounds, ways out, rules. Changed step by step, or compared and mended. */
import { isDeepStrictEqual } from 'node:util'
import type { Protocol } from '#src/contract/index.ts'
import type { XrayApi } from '#src/xray/api/api.ts'
import type { CompiledParts } from '#src/xray/api/compile.ts'
import type { ConfigDiff, RenderedConfig, Step } from '#src/xray/config/diff.ts'
import type { OutboundMessage } from '#src/xray/api/messages.ts'

export interface StructureDeps {
  api: XrayApi
  closeInbound: (tag: string) => Promise<void>
  /** Opens the inbound of this tag, with its users, as the rows have it. It is closed. */
  openInbound: (tag: string) => Promise<void>
  /** As the rows have it. */
  protocolOf: (tag: string) => Protocol | undefined
  /** Ways out and rules in Xray's own words. @throws XRAY_REFUSED */
  compile: (parts: { outbounds: object[]; routing: object }) => Promise<CompiledParts>
}

export function createStructure({ api, closeInbound, openInbound, protocolOf, compile }: StructureDeps) {
  /** What steps need of Xray's own words, all of it before the first one is taken: a refusal then leaves nothing half done. */
  async function compiledFor(steps: readonly Step[], wanted: RenderedConfig): Promise<CompiledParts | null> {
    const tags = new Set(steps.flatMap((step) => (step.do === 'put outbound' ? [step.tag] : [])))
    if (tags.size === 0 && !steps.some((step) => step.do === 'set routing')) return null
    const outbounds = wanted.outbounds.filter(({ tag }) => tags.has(tag))
    return compile({ outbounds, routing: wanted.routing })
  }

  async function take(step: Step, compiled: CompiledParts | null): Promise<void> {
    switch (step.do) {
      case 'close inbound':
        await closeInbound(step.tag)
        return
      case 'open inbound':
        // After a kill it may be there already, as it is or half made. What is connected stays so.
        await closeInbound(step.tag)
        await openInbound(step.tag)
        return
      case 'put outbound': {
        const outbound = compiled?.outbounds.find(({ tag }) => tag === step.tag)
        if (outbound !== undefined) await api.putOutbound(outbound)
        return
      }
      case 'remove outbound':
        await api.removeOutbound(step.tag)
        return
      case 'set routing':
        if (compiled !== null) await api.setRouting(compiled.routing)
    }
  }

  /** Whether the running Xray began with counting inbounds. Only itself can tell: of the file it is by the next start. */
  async function countsInbounds(): Promise<boolean> {
    const kind = 'inbound>>>'
    return [...(await api.counters(kind)).keys()].some((name) => name.startsWith(kind))
  }

  return {
    /**
     * Why a change needs a start of the running Xray. One that counts inbounds, whatever for, would not know whose
     * Hysteria's connections are, so that no limit held: it has to start without.
     */
    async restartReasons({ steps, restart }: ConfigDiff): Promise<string[]> {
      const opensHysteria = steps.some(
        (step) => step.do === 'open inbound' && protocolOf(step.tag) === 'hysteria2',
      )
      if (!opensHysteria || !(await countsInbounds())) return restart
      return [...restart, 'Hysteria2 where inbounds are counted']
    },

    /** Takes the steps in their order. Repeating them is harmless. */
    async follow(steps: readonly Step[], wanted: RenderedConfig): Promise<void> {
      const compiled = await compiledFor(steps, wanted)
      for (const step of steps) await take(step, compiled)
    },

    /**
     * Compares ways out and rules with what Xray itself says of them, and mends what differs. An outbound whose settings
     * Xray keeps in no order, as headers, may be put there anew though it is the same: that harms nobody.
     * @returns how many differed
     */
    async mendWaysOut(wanted: RenderedConfig): Promise<number> {
      const { outbounds, routing } = await compile({ outbounds: wanted.outbounds, routing: wanted.routing })
      const there = new Map((await api.outbounds()).map((outbound) => [outbound.tag, outbound]))
      // The first never changes; taken away, it would be missing for a moment.
      const differing = outbounds
        .slice(1)
        .filter((outbound) => !sameOutbound(there.get(outbound.tag), outbound))
      for (const outbound of differing) await api.putOutbound(outbound)
      const ruleTags = (wanted.routing.rules as { ruleTag: string }[]).map(({ ruleTag }) => ruleTag)
      const rulesDiffer = !isDeepStrictEqual(await api.ruleTags(), ruleTags)
      if (rulesDiffer) await api.setRouting(routing)
      const wantedTags = new Set(outbounds.map(({ tag }) => tag))
      const strangers = [...there.keys()].filter((tag) => !wantedTags.has(tag))
      for (const tag of strangers) await api.removeOutbound(tag)
      return differing.length + strangers.length + (rulesDiffer ? 1 : 0)
    },
  }
}

function sameOutbound(a: OutboundMessage | undefined, b: OutboundMessage): boolean {
  const bytes = ({ sender_settings: sender, proxy_settings: proxy }: OutboundMessage) =>
    [sender, proxy].map((part) => [part?.type ?? '', Buffer.from(part?.value ?? []).toString('base64')])
  return a !== undefined && isDeepStrictEqual(bytes(a), bytes(b))
}
