import { type OperationInput, operationMeta } from '#src/contract/index.ts'
import { button } from '../buttons.ts'
import { encodeTap } from '../callback-data.ts'
import { isReachable, namesOf } from '../format.ts'
import type { T } from '../i18n/texts.ts'
import { laterWords } from '../later.ts'
import { type ConfirmModel, confirmScreen } from '../screens/confirm.ts'
import type { Intent, Services } from '../services.ts'
import type { BotContext } from '../types.ts'
import { ownerOf, type Routes } from './route.ts'

type Asking = 'restart' | 'toggleServer' | 'removeServer' | 'disableInbound' | 'deleteInbound'

/** Shows a question, with where it is not done at once; what it asks for stands behind the nonce of its answer. */
export async function askFirst(
  s: Services,
  ctx: BotContext,
  address: string,
  intent: Intent,
  words: Omit<ConfirmModel, 'nonce'>,
): Promise<void> {
  const nonce = s.taps.offer(ownerOf(ctx), intent)
  const effect = [words.effect, ...laterLines(s, intent, ctx.t)].join('\n')
  await s.live.show(ctx, confirmScreen({ ...words, effect, nonce }), address)
}

function laterLines(s: Services, intent: Intent, t: T): string[] {
  // What does not wait is refused where it cannot be done.
  if (intent.kind !== 'tasks' || operationMeta(intent.operation).whenOffline === 'refuse') return []
  const ids = new Set(intent.targets.map(({ serverId }) => serverId))
  return laterWords(
    s.fleet.servers.list().filter(({ id }) => ids.has(id)),
    t,
  )
}

/** The questions before something of a server is switched off or taken away. */
export function askRoutes(s: Services): Routes<Asking> {
  const { servers, view } = s.fleet

  const ask = (ctx: BotContext, address: string, intent: Intent, words: Omit<ConfirmModel, 'nonce'>) =>
    askFirst(s, ctx, address, intent, words)

  return {
    restart: {
      need: 'xray.restart',
      async run(ctx, { server }) {
        const { t } = ctx
        const chosen = server === 0 ? servers.list().filter((row) => row.enabled) : [servers.get(server)]
        const targets = chosen.map((row) => ({
          serverId: row.id,
          input: {} as OperationInput<'xray.restart'>,
        }))
        const away = chosen.filter((each) => !each.enabled || !isReachable(each))
        const names = namesOf(away.map(({ name }) => name))
        const leftAlone = away.length === 0 ? [] : [t('restart.away', { count: away.length, names })]
        await ask(
          ctx,
          encodeTap('restart', { server }),
          { kind: 'tasks', operation: 'xray.restart', targets },
          {
            crumbs: [server === 0 ? t('crumb.all') : (chosen[0]?.name ?? ''), t('button.restart')],
            question:
              server === 0
                ? t('restart.questionAll', { count: chosen.length })
                : t('restart.question', { name: chosen[0]?.name ?? '' }),
            effect: [t('restart.effect'), ...leftAlone].join('\n'),
            yes: t('button.restart'),
            back:
              server === 0
                ? button(t('button.back'), 'all', {})
                : button(t('button.back'), 'server', { server }),
          },
        )
      },
    },
    toggleServer: {
      need: 'admin',
      async run(ctx, { server }) {
        const { t } = ctx
        const row = servers.get(server)
        const intent: Intent = { kind: 'enableServer', server, enabled: !row.enabled }
        await ask(ctx, encodeTap('toggleServer', { server }), intent, {
          crumbs: [row.name, row.enabled ? t('button.disable') : t('button.enable')],
          question: row.enabled
            ? t('server.disableQuestion', { name: row.name })
            : t('server.enableQuestion', { name: row.name }),
          effect: row.enabled ? t('server.disableEffect') : t('server.enableEffect'),
          yes: row.enabled ? t('button.disable') : t('button.enable'),
          style: row.enabled ? 'danger' : 'success',
          back: button(t('button.back'), 'server', { server }),
        })
      },
    },
    removeServer: {
      need: 'admin',
      async run(ctx, { server }) {
        const { t } = ctx
        const row = servers.get(server)
        await ask(
          ctx,
          encodeTap('removeServer', { server }),
          { kind: 'removeServer', server },
          {
            crumbs: [row.name, t('button.remove')],
            question: t('server.removeQuestion', { name: row.name }),
            effect: t('server.removeEffect', { count: view.serverTotals(server).clients }),
            yes: t('button.remove'),
            back: button(t('button.back'), 'server', { server }),
          },
        )
      },
    },
    disableInbound: {
      need: 'inbounds.update',
      async run(ctx, fields) {
        const { t } = ctx
        const row = servers.get(fields.server)
        const inbound = view.inbound(fields.server, fields.inbound)
        if (inbound === undefined) return { text: t('inbound.gone'), alert: true }
        const targets = [{ serverId: row.id, input: { id: inbound.tag, enabled: false } }]
        await ask(
          ctx,
          encodeTap('disableInbound', fields),
          { kind: 'tasks', operation: 'inbounds.update', targets },
          {
            crumbs: [row.name, t('crumb.inbounds'), inbound.tag],
            question: t('inbound.disableQuestion', { tag: inbound.tag, server: row.name }),
            effect: t('inbound.disableEffect', { count: inbound.clientCount }),
            yes: t('button.disable'),
            back: button(t('button.back'), 'inbound', fields),
          },
        )
      },
    },
    deleteInbound: {
      need: 'inbounds.delete',
      async run(ctx, fields) {
        const { t } = ctx
        const row = servers.get(fields.server)
        const inbound = view.inbound(fields.server, fields.inbound)
        if (inbound === undefined) return { text: t('inbound.gone'), alert: true }
        // By its name: what became of it is told when the row is gone.
        const targets = [{ serverId: row.id, input: { id: inbound.tag } }]
        await ask(
          ctx,
          encodeTap('deleteInbound', fields),
          { kind: 'tasks', operation: 'inbounds.delete', targets },
          {
            crumbs: [row.name, t('crumb.inbounds'), inbound.tag],
            question: t('inbound.deleteQuestion', { tag: inbound.tag, server: row.name }),
            effect: t('inbound.deleteEffect', { count: inbound.clientCount }),
            yes: t('button.delete'),
            back: button(t('button.back'), 'inbound', fields),
          },
        )
      },
    },
  }
}
