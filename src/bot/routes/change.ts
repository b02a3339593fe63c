import type { OperationInput, OperationName } from '#src/contract/index.ts'
import type { Target } from '#src/fleet/types.ts'
import { authorize, type Need } from '../access.ts'
import { batchAddress, type Followers } from '../batches.ts'
import { button } from '../buttons.ts'
import { encodeTap, type Fields } from '../callback-data.ts'
import { type ConfirmModel, confirmScreen, noteScreen } from '../screens/confirm.ts'
import type { Intent, Services, Toast } from '../services.ts'
import type { BotContext } from '../types.ts'
import { personAt } from './client.ts'
import { ownerOf, type Routes } from './route.ts'
import { showServer } from './server.ts'

type Changing =
  | 'restart'
  | 'toggleServer'
  | 'removeServer'
  | 'deleteInbound'
  | 'deleteClient'
  | 'do'
  | 'retry'
  | 'batch'

/** What an intent asks for. */
export function needOf(intent: Intent): Need {
  return intent.kind === 'tasks' ? intent.operation : 'admin'
}

/** Buttons that change something, and the questions before them. */
export function changeRoutes(
  s: Services,
  followers: Followers,
  redraw: (ctx: BotContext) => Promise<void>,
): Routes<Changing> {
  const { servers, view, tasks } = s.fleet

  async function ask(
    ctx: BotContext,
    address: string,
    intent: Intent,
    words: Omit<ConfirmModel, 'nonce'>,
  ): Promise<void> {
    const nonce = s.taps.offer(ownerOf(ctx), intent)
    await s.live.show(ctx, confirmScreen({ ...words, nonce }, ctx.t), address)
  }

  async function carryOut(ctx: BotContext, nonce: string, intent: Intent): Promise<Toast | void> {
    switch (intent.kind) {
      case 'tasks': {
        const { operation } = intent
        // The targets were checked when they were written; what a nonce holds nobody else can write.
        const targets = intent.targets as Target<typeof operation>[]
        await s.runBatch(ctx, { operation, targets, id: `tap_${nonce}` })
        return
      }
      case 'enableServer':
        servers.setEnabled(intent.server, intent.enabled, ctx.who.actor)
        return showServer(s, ctx, intent.server)
      case 'removeServer': {
        const { server } = intent
        // Already gone: this is the same tap, handled again after a kill.
        const name = servers.find(server)?.name
        if (name !== undefined) servers.remove(server, ctx.who.actor)
        await s.live.show(
          ctx,
          noteScreen(ctx.t('server.removed', { name: name ?? `#${server}` }), ctx.t),
          'note',
        )
      }
    }
  }

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
        await ask(
          ctx,
          encodeTap('restart', { server }),
          { kind: 'tasks', operation: 'xray.restart', targets },
          {
            crumbs: [server === 0 ? t('crumb.all') : (chosen[0]?.name ?? ''), t('button.restart')],
            question: t('restart.question', { count: chosen.length }),
            effect: t('restart.effect'),
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
    deleteInbound: {
      need: 'inbounds.delete',
      async run(ctx, fields) {
        const { t } = ctx
        const row = servers.get(fields.server)
        const inbound = view.inbound(fields.server, fields.inbound)
        if (inbound === undefined) return { text: t('inbound.gone'), alert: true }
        const targets = [{ serverId: row.id, input: { id: String(inbound.id) } }]
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
    deleteClient: {
      need: 'clients.delete',
      async run(ctx, fields) {
        const { t } = ctx
        const person = personAt(s, fields)
        if (person === undefined) return { text: t('client.gone'), alert: true }
        const targets = person.placements.map(({ server, client }) => ({
          serverId: server.id,
          input: { email: client.email },
        }))
        await ask(
          ctx,
          encodeTap('deleteClient', fields),
          { kind: 'tasks', operation: 'clients.delete', targets },
          {
            crumbs: [t('crumb.clients'), person.email],
            question: t('client.deleteQuestion', { name: person.email }),
            effect: t('client.deleteEffect', { count: targets.length }),
            yes: t('button.delete'),
            back: button(t('button.back'), 'client', { ...fields, page: 0 }),
          },
        )
      },
    },
    do: {
      need: 'viewer',
      async run(ctx, { nonce }: Fields<'do'>) {
        const found = s.taps.look(ownerOf(ctx), nonce, ctx.callbackQuery?.message?.message_id)
        if (found.state === 'foreign') return { text: ctx.t('toast.foreign'), alert: true }
        if (found.state === 'expired') {
          await redraw(ctx)
          return { text: ctx.t('toast.expired'), alert: true }
        }
        if (!authorize(ctx.who, needOf(found.action))) return { text: ctx.t('toast.forbidden'), alert: true }
        if (found.state === 'used') {
          if (found.action.kind === 'tasks') await followers.show(ctx, `tap_${nonce}`)
          else await redraw(ctx)
          return { text: ctx.t('toast.already') }
        }
        const toast = await carryOut(ctx, nonce, found.action)
        s.taps.use(nonce)
        return toast
      },
    },
    retry: {
      need: 'operator',
      async run(ctx, { batch }) {
        const operation = tasks.batch(batch)[0]?.operation as OperationName | undefined
        if (operation !== undefined && !authorize(ctx.who, operation))
          return { text: ctx.t('toast.forbidden'), alert: true }
        // A second tap finds the batch the first one made.
        const again = await tasks.retryFailed(batch, ctx.who.actor)
        if (again.tasks.length === 0) return { text: ctx.t('toast.nothingToRetry') }
        await followers.show(ctx, again.id, true)
        followers.follow(ctx, again.id, again.settled)
      },
    },
    batch: {
      need: 'viewer',
      async run(ctx, { batch }) {
        await followers.show(ctx, batch)
        followers.follow(ctx, batch)
      },
    },
  }
}

/** Starts a batch and shows it from the first line on. */
export async function runBatch<N extends OperationName>(
  s: Services,
  followers: Followers,
  ctx: BotContext,
  request: { operation: N; targets: Target<N>[]; id: string },
): Promise<void> {
  const batch = await s.fleet.tasks.run({ ...request, actor: ctx.who.actor })
  s.log.info(
    { batch: batchAddress(batch.id), operation: request.operation, by: ctx.who.userId },
    'a change was asked for',
  )
  await followers.show(ctx, batch.id, true)
  followers.follow(ctx, batch.id, batch.settled)
}
