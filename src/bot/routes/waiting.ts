import { doingWords } from '../batch-model.ts'
import { button } from '../buttons.ts'
import { encodeTap, type Fields } from '../callback-data.ts'
import { pageOf } from '../paging.ts'
import { WAITING_PER_PAGE, waitingScreen } from '../screens/waiting.ts'
import type { Services } from '../services.ts'
import type { BotContext } from '../types.ts'
import { askFirst } from './ask.ts'
import type { Routes } from './route.ts'

/** @throws FleetError SERVER_NOT_FOUND */
export async function showWaiting(s: Services, ctx: BotContext, fields: Fields<'waiting'>): Promise<void> {
  const { servers, tasks } = s.fleet
  const server = servers.get(fields.server)
  const open = tasks.open(server.id)
  const { items, ...at } = pageOf(open, fields.page, WAITING_PER_PAGE)
  const inWords = items.map((task) => ({ task, doing: doingWords(s.fleet, task, ctx.t) }))
  const model = { server, items: { ...at, items: inWords }, total: open.length }
  await s.live.show(ctx, waitingScreen(model, ctx.t), encodeTap('waiting', { ...fields, page: at.page }))
}

/** What waits for a server, and the question before it is called off. */
export function waitingRoutes(s: Services): Routes<'waiting' | 'callOff'> {
  const { servers, tasks } = s.fleet
  return {
    waiting: { need: 'viewer', run: (ctx, fields) => showWaiting(s, ctx, fields) },
    callOff: {
      need: 'admin',
      async run(ctx, { server, task: id }) {
        const { t } = ctx
        const { name } = servers.get(server)
        const task = tasks.open(server).find((each) => each.id === id && !each.begun)
        if (task === undefined) {
          await showWaiting(s, ctx, { server, page: 0 })
          return { text: t('toast.tooLate') }
        }
        await askFirst(
          s,
          ctx,
          encodeTap('callOff', { server, task: id }),
          { kind: 'callOff', server, task: id },
          {
            crumbs: [name, t('crumb.waiting')],
            question: t('waiting.question', { what: doingWords(s.fleet, task, t) }),
            effect: t('waiting.effect', { name }),
            yes: t('button.callOffYes'),
            back: button(t('button.back'), 'waiting', { server, page: 0 }),
          },
        )
      },
    },
  }
}
