import { placeAt } from './back.ts'
import { showHome } from './routes/browse.ts'
import type { Routes } from './routes/route.ts'
import type { Services } from './services.ts'
import type { BotContext } from './types.ts'

export interface Redraw {
  /** Draws what a person looks at once more, with fresh buttons. */
  shown(ctx: BotContext): Promise<void>
  /** Draws the screen at an address; false where that is none, or one that would do more than look. */
  at(ctx: BotContext, address: string): Promise<boolean>
}

/** Screens by the addresses that are kept of them. */
export function createRedraw(s: Services, routes: () => Routes): Redraw {
  const redraw: Redraw = {
    async shown(ctx) {
      if (!(await redraw.at(ctx, s.chats.get(ctx.spot.key)?.screen ?? ''))) await showHome(s, ctx)
    },
    async at(ctx, address) {
      const tap = placeAt(address)
      if (tap === undefined) return false
      // The words of a search stand with the address alone.
      s.chats.set(ctx.spot.key, { screen: address }, s.runtime.now())
      // One verb has one kind of fields; the union over all verbs the compiler cannot follow.
      const route = routes()[tap.verb] as { run(ctx: BotContext, fields: unknown): Promise<unknown> }
      await route.run(ctx, tap.fields)
      return true
    },
  }
  return redraw
}
