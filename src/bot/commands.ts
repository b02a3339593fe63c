import type { Api } from 'grammy'
import type { Need } from './access.ts'
import { decodeTap, type Tap } from './callback-data.ts'
import type { T } from './i18n/texts.ts'
import { showClients, showFoundClients, showFoundServers } from './routes/browse.ts'
import type { Dispatch } from './router.ts'
import type { Services } from './services.ts'
import type { BotContext } from './types.ts'

export interface Command {
  need: Need
  run(ctx: BotContext, argument: string): Promise<void>
}

export const commandNames = [
  'start',
  'servers',
  'add',
  'inbound',
  'server',
  'find',
  'cancel',
  'help',
] as const
export type CommandName = (typeof commandNames)[number]

/** `/start srv_12`, as in links from alerts and the status page. */
function deepLink(argument: string): Tap {
  const id = /^srv_(\d{1,9})$/.exec(argument)?.[1]
  return id === undefined ? { verb: 'home', fields: {} } : { verb: 'server', fields: { server: Number(id) } }
}

/** What can be typed. Each answers with a new message at the end of the chat, where the person now looks. */
export function createCommands(s: Services, dispatch: Dispatch): Record<CommandName, Command> {
  const go = (need: Need, tap: (argument: string) => Tap): Command => ({
    need,
    run: (ctx, argument) => dispatch(ctx, tap(argument)),
  })
  return {
    start: go('viewer', deepLink),
    servers: go('viewer', () => ({ verb: 'servers', fields: { page: 0 } })),
    add: go('clients.add', () => ({ verb: 'addClient', fields: { server: 0 } })),
    inbound: go('inbounds.add', () => ({ verb: 'addInbound', fields: { server: 0 } })),
    server: {
      need: 'viewer',
      run: (ctx, argument) =>
        argument.trim() === ''
          ? dispatch(ctx, { verb: 'addServer', fields: {} })
          : showFoundServers(s, ctx, argument.trim().slice(0, 64)),
    },
    find: {
      need: 'viewer',
      run: (ctx, argument) => showFoundClients(s, ctx, argument.trim().slice(0, 64)),
    },
    cancel: go('viewer', () => ({ verb: 'home', fields: {} })),
    help: go('viewer', () => ({ verb: 'help', fields: {} })),
  }
}

/** The list of commands behind the "/" button, for one known person; nobody else is shown any. */
export async function registerCommands(api: Api, userId: number, t: T): Promise<void> {
  const commands = commandNames.map((command) => ({ command, description: t(`command.${command}`) }))
  await api.setMyCommands(commands, { scope: { type: 'chat', chat_id: userId } })
}

/** Text typed outside of a question: on a list of clients, or of servers, it searches there. */
export async function typed(s: Services, ctx: BotContext, text: string): Promise<boolean> {
  const address = (s.chats.get(ctx.spot.key)?.screen ?? '').split(' ')[0] ?? ''
  const shown = decodeTap(address)
  if (shown?.verb !== 'clients' && shown?.verb !== 'servers') return false
  await ctx.deleteMessage().catch(() => undefined)
  const words = text.trim().slice(0, 64)
  if (shown.verb === 'servers') await showFoundServers(s, ctx, words)
  else await showClients(s, ctx, { ...shown.fields, page: 0 }, words)
  return true
}
