import type { Followers } from '../batches.ts'
import type { Services } from '../services.ts'
import type { BotContext } from '../types.ts'
import { askClientRoutes } from './ask-client.ts'
import { askRoutes } from './ask.ts'
import { browseRoutes } from './browse.ts'
import { certificateRoutes } from './certificates.ts'
import { changeRoutes } from './change.ts'
import { startRoutes } from './join.ts'
import type { Routes } from './route.ts'
import { waitingRoutes } from './waiting.ts'

/** What every button does. A verb without a route does not compile. */
export function createRoutes(
  s: Services,
  followers: Followers,
  redraw: (ctx: BotContext) => Promise<void>,
): Routes {
  return {
    ...browseRoutes(s),
    ...askRoutes(s),
    ...askClientRoutes(s),
    ...certificateRoutes(s),
    ...waitingRoutes(s),
    ...changeRoutes(s, followers, redraw),
    ...startRoutes(s),
  }
}
