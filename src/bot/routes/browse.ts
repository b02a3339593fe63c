import { button } from '../buttons.ts'
import { pageOf } from '../paging.ts'
import { encodeTap, type Fields } from '../callback-data.ts'
import { helpScreen, noteScreen } from '../screens/confirm.ts'
import { clientItem, type ClientsModel, clientsScreen, personItem } from '../screens/clients.ts'
import { allScreen, foundServersScreen, homeScreen, pickerScreen } from '../screens/home.ts'
import { inboundScreen, inboundsScreen } from '../screens/inbounds.ts'
import { nextStep } from '../next-step.ts'
import { PAGE_SIZE } from '../paging.ts'
import { serversNamed } from '../server-list.ts'
import type { Services } from '../services.ts'
import type { BotContext } from '../types.ts'
import { showClient, showClientServers, showLimits, showQr } from './client.ts'
import { ownerOf, type Routes } from './route.ts'
import { showEdit, showServer, showUsage } from './server.ts'

type Browsing =
  | 'home'
  | 'all'
  | 'servers'
  | 'server'
  | 'usage'
  | 'editServer'
  | 'inbounds'
  | 'inbound'
  | 'clients'
  | 'client'
  | 'clientServers'
  | 'limits'
  | 'qr'
  | 'closeQr'
  | 'help'

/** The search words of the list that is shown, which a button has no room for. */
function searchShown(s: Services, ctx: BotContext): string {
  const address = s.chats.get(ctx.spot.key)?.screen ?? ''
  const space = address.indexOf(' ')
  return space < 0 ? '' : address.slice(space + 1)
}

export async function showHome(s: Services, ctx: BotContext): Promise<void> {
  const { servers, view } = s.fleet
  if (servers.isSingle()) return showServer(s, ctx, servers.default().id)
  const list = servers.list()
  const next = nextStep(
    s.fleet,
    list.map(({ id }) => id),
  )
  const model = { servers: list, totals: view.totals(), next, now: s.runtime.now() }
  await s.live.show(ctx, homeScreen(model, ctx.t), encodeTap('home', {}))
}

export async function showClients(
  s: Services,
  ctx: BotContext,
  fields: Fields<'clients'>,
  search: string,
): Promise<void> {
  const { view, servers } = s.fleet
  // With one server there is no fleet-wide list beside its own.
  const id = fields.server === 0 && servers.isSingle() ? servers.default().id : fields.server
  const server = id === 0 ? undefined : servers.get(id)
  const { filter } = fields
  const query = { page: fields.page, size: PAGE_SIZE, filter, ...(search === '' ? {} : { search }) }
  const listed = (): ClientsModel['rows'] => {
    if (server !== undefined) {
      const rows = view.clients(server.id, query)
      return { ...rows, items: rows.items.map(clientItem) }
    }
    const people = view.people(query)
    return { ...people, items: people.items.flatMap((person) => personItem(person) ?? []) }
  }
  const rows = listed()
  const { page } = rows
  const next = nextStep(s.fleet, server === undefined ? servers.list().map((each) => each.id) : [server.id])
  const model = { server, rows, filter, search, next }
  const address = encodeTap('clients', { ...fields, server: id, page, found: search === '' ? 'no' : 'yes' })
  await s.live.show(ctx, clientsScreen(model, ctx.t), search === '' ? address : `${address} ${search}`)
}

/** The client of that name, or the only one with the words in it; else the list of those with them. */
export async function showFoundClients(s: Services, ctx: BotContext, words: string): Promise<void> {
  const { view } = s.fleet
  const found = view.people({ page: 0, size: 1, search: words })
  const one = view.person(words) ?? (found.total === 1 ? found.items[0] : undefined)
  const [at] = words === '' ? [] : (one?.placements ?? [])
  return at === undefined
    ? showClients(s, ctx, { server: 0, page: 0, filter: 'all', found: 'no' }, words)
    : showClient(s, ctx, { server: at.server.id, client: at.client.id, page: 0 })
}

/** The server of that name, or those with the words in their names. */
export async function showFoundServers(s: Services, ctx: BotContext, words: string): Promise<void> {
  const found = serversNamed(s.fleet.servers.list(), words)
  const [only] = found.length === 1 ? found : []
  if (only !== undefined) return showServer(s, ctx, only.id)
  await s.live.show(ctx, foundServersScreen({ found, words }, ctx.t), encodeTap('servers', { page: 0 }))
}

/** Every button that only looks. */
export function browseRoutes(s: Services): Routes<Browsing> {
  const { servers, view } = s.fleet
  return {
    home: { need: 'viewer', run: (ctx) => showHome(s, ctx) },
    all: {
      need: 'viewer',
      run: (ctx) =>
        servers.isSingle()
          ? showHome(s, ctx)
          : s.live.show(ctx, allScreen({ servers: servers.list() }, ctx.t), encodeTap('all', {})),
    },
    servers: {
      need: 'viewer',
      async run(ctx, fields) {
        if (servers.isSingle()) return showHome(s, ctx)
        const list = servers.list()
        const { page, pages } = pageOf(list, fields.page)
        const screen = pickerScreen({ page, pages }, ctx.t)
        await s.live.show(ctx, screen, encodeTap('servers', { page }))
      },
    },
    server: { need: 'viewer', run: (ctx, { server }) => showServer(s, ctx, server) },
    usage: { need: 'system.stats', run: (ctx, { server }) => showUsage(s, ctx, server) },
    editServer: {
      need: 'admin',
      run: (ctx, { server }) => showEdit(s, ctx, server),
    },
    inbounds: {
      need: 'inbounds.list',
      async run(ctx, { server, page }) {
        const model = { server: servers.get(server), inbounds: view.inbounds(server), page }
        await s.live.show(ctx, inboundsScreen(model, ctx.t), encodeTap('inbounds', { server, page }))
      },
    },
    inbound: {
      need: 'inbounds.get',
      async run(ctx, fields) {
        const server = servers.get(fields.server)
        const inbound = view.inbound(server.id, fields.inbound)
        if (inbound === undefined) {
          const list = button(ctx.t('button.inbounds'), 'inbounds', { server: server.id, page: 0 })
          await s.live.show(ctx, noteScreen(ctx.t('inbound.gone'), ctx.t, [[list]]), 'note')
          return
        }
        const input = { id: inbound.tag, enabled: true }
        const targets = [{ serverId: server.id, input }]
        const enable = s.taps.offer(ownerOf(ctx), { kind: 'tasks', operation: 'inbounds.update', targets })
        await s.live.show(
          ctx,
          inboundScreen({ server, inbound, enable }, ctx.t),
          encodeTap('inbound', fields),
        )
      },
    },
    clients: {
      need: 'viewer',
      run: (ctx, fields) => showClients(s, ctx, fields, fields.found === 'yes' ? searchShown(s, ctx) : ''),
    },
    client: { need: 'viewer', run: (ctx, fields) => showClient(s, ctx, fields) },
    clientServers: { need: 'viewer', run: (ctx, fields) => showClientServers(s, ctx, fields) },
    limits: { need: 'viewer', run: (ctx, fields) => showLimits(s, ctx, fields) },
    qr: { need: 'viewer', run: (ctx, fields) => showQr(s, ctx, fields) },
    closeQr: {
      need: 'viewer',
      keepsWizard: true,
      async run(ctx) {
        // Older than two days it cannot be deleted; it then stays.
        await ctx.deleteMessage().catch(() => undefined)
      },
    },
    help: { need: 'viewer', run: (ctx) => s.live.show(ctx, helpScreen(ctx.t), encodeTap('help', {})) },
  }
}
