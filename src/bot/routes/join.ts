import { safeFields } from '../api-errors.ts'
import { persisting } from '../patience.ts'
import { encodeTap } from '../callback-data.ts'
import { joinScreen } from '../screens/server-edit.ts'
import type { Services, Toast } from '../services.ts'
import type { BotContext, StageContext } from '../types.ts'
import type { Routes } from './route.ts'
import { refreshHere, showServer, showServerAside } from './server.ts'
import { WIZARD, type WizardStart } from '../wizards/conversation.ts'

type Starting =
  | 'join'
  | 'addServer'
  | 'addInbound'
  | 'addClient'
  | 'addClientTo'
  | 'placeClient'
  | 'getCertificate'
  | 'editField'
  | 'editLimit'
  | 'alertOpen'
  | 'alertCheck'

/** A new join command for a server, on a screen that waits for it. @throws FleetError SERVER_NOT_FOUND */
export async function showJoin(s: Services, ctx: BotContext, serverId: number): Promise<void> {
  const server = s.fleet.servers.get(serverId)
  const { command, expiresAt } = s.fleet.servers.invite(serverId, ctx.who.actor)
  const minutes = Math.round((expiresAt - s.runtime.now()) / 60_000)
  const isAgain = server.endpoint !== null || server.status !== 'pending'
  const screen = joinScreen({ server, command, minutes, expiresAt }, ctx.t)
  await s.live.show(ctx, screen, joinAddress(serverId, isAgain))
}

/** Of a server that has joined before its row does not tell whether the command on the screen was used. */
const joinAddress = (server: number, isAgain: boolean): string =>
  `${encodeTap('join', { server })}${isAgain ? ' again' : ''}`

/** Turns the screens that wait for a server into its own: it has joined just now, or at some time (`ever`). */
export async function joined(
  s: Services,
  stageOf: (key: string) => StageContext,
  serverId: number,
  when: 'now' | 'ever',
): Promise<void> {
  const addresses = [false, ...(when === 'now' ? [true] : [])].map((again) => joinAddress(serverId, again))
  // The pattern also finds join.12 for join.1.
  const waiting = s.chats
    .showing(joinAddress(serverId, false))
    .filter(({ screen }) => addresses.includes(screen ?? ''))
  await Promise.all(waiting.map(({ id }) => persisting(s, () => showServer(s, stageOf(id), serverId))))
}

/** Buttons that begin a wizard, and those under an alert, which leave one alone. */
export function startRoutes(s: Services): Routes<Starting> {
  const start = async (ctx: BotContext, wizard: string, args: unknown): Promise<void> => {
    const request: WizardStart = { wizard, args }
    await ctx.conversation.enter(WIZARD, request)
  }

  /** Not where a wizard is under way: that needs the live message. */
  async function openServer(ctx: BotContext, server: number): Promise<void> {
    if (ctx.conversation.active(WIZARD) > 0) return showServerAside(s, ctx, server)
    // The alert stays as it is: what was wrong, and since when.
    ctx.fresh = true
    await showServer(s, ctx, server)
  }

  /** The answer for a server that was removed since its alert. */
  const gone = (ctx: BotContext, server: number): Toast | undefined =>
    s.fleet.servers.find(server) === undefined
      ? { text: ctx.t('errors.SERVER_NOT_FOUND', { server }), alert: true }
      : undefined

  /** Looks at a server, which may take as long as it is away, and then shows what was found. */
  async function check(server: number, show: () => Promise<unknown>): Promise<void> {
    try {
      await s.checkServer?.(server)
      if (s.fleet.servers.find(server) !== undefined) await show()
    } catch (error) {
      if (s.signal.aborted) return
      s.log.warn(
        { serverId: server, error: safeFields(error) },
        'a check that was asked for did not end well',
      )
    }
  }

  return {
    join: { need: 'admin', run: (ctx, { server }) => showJoin(s, ctx, server) },
    addServer: { need: 'admin', run: (ctx) => start(ctx, 'addServer', {}) },
    addInbound: { need: 'inbounds.add', run: (ctx, fields) => start(ctx, 'addInbound', fields) },
    addClient: { need: 'clients.add', run: (ctx, fields) => start(ctx, 'addClient', fields) },
    addClientTo: { need: 'clients.add', run: (ctx, fields) => start(ctx, 'addClient', fields) },
    placeClient: { need: 'clients.add', run: (ctx, fields) => start(ctx, 'placeClient', fields) },
    getCertificate: {
      need: 'certificates.generate',
      run: (ctx, fields) => start(ctx, 'getCertificate', fields),
    },
    editField: { need: 'admin', run: (ctx, fields) => start(ctx, 'editField', fields) },
    editLimit: { need: 'clients.update', run: (ctx, fields) => start(ctx, 'editLimit', fields) },
    alertOpen: {
      need: 'viewer',
      keepsWizard: true,
      async run(ctx, { server }) {
        return gone(ctx, server) ?? (await openServer(ctx, server))
      },
    },
    alertCheck: {
      need: 'viewer',
      keepsWizard: true,
      async run(ctx, { server }) {
        const words = gone(ctx, server)
        if (words !== undefined) return words
        // In the background: whatever else is tapped in this chat waits for this handler.
        if (ctx.conversation.active(WIZARD) > 0) {
          void check(server, () => showServerAside(s, ctx, server))
        } else {
          const opened = openServer(ctx, server)
          void check(server, () => opened.then(() => refreshHere(s, ctx, server)))
          await opened
        }
        return { text: ctx.t('toast.checking') }
      },
    },
  }
}
