import { FleetError } from '#src/errors.ts'
import { safeFields } from './api-errors.ts'
import { authorize } from './access.ts'
import type { Tap } from './callback-data.ts'
import { errorWords } from './i18n/texts.ts'
import type { Routes } from './routes/route.ts'
import { noteScreen } from './screens/confirm.ts'
import type { Services, Toast } from './services.ts'
import type { BotContext } from './types.ts'

export type Dispatch = (ctx: BotContext, tap: Tap) => Promise<void>

/** Every button, whichever way it was encoded, comes through here: permission, answer, errors in words. */
export function createDispatch(s: Services, routes: () => Routes): Dispatch {
  return (ctx, tap) =>
    s.answered(ctx, async () => {
      // One verb has one kind of fields; the union over all verbs the compiler cannot follow.
      const route = routes()[tap.verb] as {
        need: Routes['home']['need']
        keepsWizard?: true
        run(ctx: BotContext, fields: unknown): Promise<Toast | void>
      }
      if (!authorize(ctx.who, route.need)) return { text: ctx.t('toast.forbidden'), alert: true }
      if (route.keepsWizard !== true) await ctx.conversation.exitAll()
      return saying(s, ctx, () => route.run(ctx, tap.fields))
    })
}

/** Runs `work`; what it throws with a code is shown in words, everything else goes up. */
export async function saying<R>(
  s: Services,
  ctx: BotContext,
  work: () => Promise<R>,
): Promise<R | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof FleetError)) throw error
    if (error.code === 'INTERNAL') s.log.error({ error: safeFields(error) }, 'a request from the chat failed')
    await s.live.show(ctx, noteScreen(errorWords(ctx.t, error), ctx.t), 'note')
    return undefined
  }
}
