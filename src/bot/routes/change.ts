import type { OperationName } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Change, Target } from '#src/fleet/types.ts'
import { authorize, type Need } from '../access.ts'
import { batchAddress, type Followers } from '../batches.ts'
import type { Fields } from '../callback-data.ts'
import { noteScreen } from '../screens/confirm.ts'
import type { Intent, Services, Toast } from '../services.ts'
import type { BotContext } from '../types.ts'
import { ownerOf, type Routes } from './route.ts'
import { showServer } from './server.ts'
import { showWaiting } from './waiting.ts'

type Changing = 'do' | 'retry' | 'batch'

/** What an intent asks for. */
export function needOf(intent: Intent): Need {
  return intent.kind === 'tasks' ? intent.operation : 'admin'
}

/** Buttons that change something. */
export function changeRoutes(
  s: Services,
  followers: Followers,
  redraw: (ctx: BotContext) => Promise<void>,
): Routes<Changing> {
  const { servers, tasks } = s.fleet

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
      case 'callOff': {
        const isOff = tasks.cancel(intent.task, ctx.who.actor)
        await showWaiting(s, ctx, { server: intent.server, page: 0 })
        return isOff ? undefined : { text: ctx.t('toast.tooLate') }
      }
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

/**
 * Starts a batch and shows it from the first line on.
 * @throws FleetError SERVER_DISABLED where no server is left to change: one may be switched off while a form is open
 */
export async function runBatch<N extends OperationName>(
  s: Services,
  followers: Followers,
  ctx: BotContext,
  request: { operation: N; targets: Target<N>[]; before?: Change; id: string },
): Promise<void> {
  if (request.targets.length === 0) fail('SERVER_DISABLED')
  const batch = await s.fleet.tasks.run({ ...request, actor: ctx.who.actor })
  s.log.info(
    { batch: batchAddress(batch.id), operation: request.operation, by: ctx.who.userId },
    'a change was asked for',
  )
  await followers.show(ctx, batch.id, true)
  followers.follow(ctx, batch.id, batch.settled)
}
