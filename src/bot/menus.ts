import { Menu, MenuRange } from '@grammyjs/menu'
import { Api, Composer, Context } from 'grammy'
import type { InlineKeyboardMarkup, UserFromGetMe } from 'grammy/types'
import type { Fleet, Server } from '#src/fleet/types.ts'
import { short } from './buttons.ts'
import type { Tap } from './callback-data.ts'
import { isReachable, isToJoin } from './format.ts'
import type { TextKey, Texts } from './i18n/keys.ts'
import { type NextStep, nextStep } from './next-step.ts'
import { pageOf, type Paged } from './paging.ts'
import { serverLabel, troubleFirst } from './server-list.ts'
import type { BotContext, MenuRef, Stage } from './types.ts'

/**
 * The only use of @grammyjs/menu. Its buttons carry row and column, so a button means something else when the rows
 * have changed. Hence here, for every menu: a fingerprint of what decides the rows, the thing meant as payload, and
 * handlers that look at the payload alone. Label changes, a status dot turning red, then lose no tap.
 */
export interface Menus {
  middleware: Composer<BotContext>
  /** The keyboard of a menu as it is now. */
  render(ctx: Stage, ref: MenuRef): Promise<InlineKeyboardMarkup>
}

type PlainKey = { [K in TextKey]: Texts[K] extends Record<string, never> ? K : never }[TextKey]

export function createMenus(fleet: Fleet, go: (ctx: BotContext, tap: Tap) => Promise<void>): Menus {
  const server = serverMenu(fleet, go)
  const picker = pickerMenu(fleet, go)
  const middleware = new Composer<BotContext>()
  middleware.use(server, picker)
  return {
    middleware,
    async render(stage, ref) {
      // The plugin renders only on the way through an API client. This one ends right behind it: so a screen can be
      // drawn anywhere, also inside a conversation and where there is no update at all.
      let rendered: unknown
      const api = new Api('0:none')
      api.config.use((_prev, _method, payload) => {
        rendered = 'reply_markup' in payload ? payload.reply_markup : undefined
        return Promise.resolve({ ok: true, result: true as never })
      })
      const nobody = { id: 0, is_bot: true, first_name: '', username: '' } as UserFromGetMe
      const ctx = Object.assign(new Context({ update_id: 0 }, api, nobody), { ...stage, menuRef: ref })
      await middleware.middleware()(ctx as unknown as BotContext, () => Promise.resolve())
      await api.editMessageReplyMarkup(1, 1, { reply_markup: ref.menu === 'server' ? server : picker })
      return rendered as InlineKeyboardMarkup
    },
  }
}

/** The payload of the button that was pressed, or what is being drawn. */
function payloadOf(ctx: BotContext): string {
  const { menuRef } = ctx
  if (menuRef === undefined) return typeof ctx.match === 'string' ? ctx.match : ''
  return String(menuRef.menu === 'server' ? menuRef.server : menuRef.page)
}

const waits = (server: Server | undefined): boolean => server !== undefined && isToJoin(server)

/** What stands out on a server's screen: what is wrong comes before what could be added. */
function whatNext(server: Server, fleet: Fleet): NextStep | 'restart' | undefined {
  if (server.enabled && server.status === 'error') return 'restart'
  return server.enabled && isReachable(server) ? nextStep(fleet, [server.id]) : undefined
}

function serverMenu(fleet: Fleet, go: (ctx: BotContext, tap: Tap) => Promise<void>): Menu<BotContext> {
  const idOf = (ctx: BotContext): number => Number(payloadOf(ctx))
  const menu = new Menu<BotContext>('server', {
    autoAnswer: false,
    fingerprint: (ctx) => {
      const found = fleet.servers.find(idOf(ctx))
      return `${idOf(ctx)} ${found?.kind ?? 'gone'} ${waits(found)} ${fleet.servers.isSingle()} ${fleet.tasks.open(idOf(ctx)).length > 0}`
    },
    onMenuOutdated: (ctx) => go(ctx, { verb: 'server', fields: { server: idOf(ctx) } }),
  })
  menu.dynamic((ctx) => {
    const range = new MenuRange<BotContext>()
    const id = idOf(ctx)
    const found = fleet.servers.find(id)
    const add = (label: PlainKey, make: (server: number) => Tap): MenuRange<BotContext> =>
      range.text({ text: (c: BotContext) => plain(c, label), payload: String(id) }, (c) =>
        go(c, make(Number(c.match))),
      )
    const open = fleet.tasks.open(id).length
    if (open > 0)
      range
        .text({ text: (c: BotContext) => c.t('button.waiting', { count: open }), payload: String(id) }, (c) =>
          go(c, { verb: 'waiting', fields: { server: Number(c.match), page: 0 } }),
        )
        .row()
    if (waits(found))
      add('button.joinCommand', (server) => ({ verb: 'join', fields: { server } }))
        .primary()
        .row()
    add('button.inbounds', (server) => ({ verb: 'inbounds', fields: { server, page: 0 } }))
    add('button.clients', (server) => ({
      verb: 'clients',
      fields: { server, page: 0, filter: 'all', found: 'no' },
    })).row()
    const next = found === undefined ? undefined : whatNext(found, fleet)
    const addInbound = add('button.addInbound', (server) => ({ verb: 'addInbound', fields: { server } }))
    if (next === 'addInbound') addInbound.primary()
    const addClient = add('button.addClient', (server) => ({ verb: 'addClient', fields: { server } }))
    if (next === 'addClient') addClient.primary()
    range.row()
    // What only the server itself could answer or do.
    if (!waits(found)) {
      add('button.certificates', (server) => ({ verb: 'certificates', fields: { server, page: 0 } })).row()
      add('button.usage', (server) => ({ verb: 'usage', fields: { server } }))
      const restart = add('button.restart', (server) => ({ verb: 'restart', fields: { server } }))
      if (next === 'restart') restart.primary()
      range.row()
    }
    add('button.edit', (server) => ({ verb: 'editServer', fields: { server } }))
    add(found?.enabled === false ? 'button.enable' : 'button.disable', (server) => ({
      verb: 'toggleServer',
      fields: { server },
    }))
    if (found?.kind === 'agent') {
      add('button.remove', (server) => ({ verb: 'removeServer', fields: { server } })).danger()
    }
    range.row()
    if (fleet.servers.isSingle()) add('button.addServer', () => ({ verb: 'addServer', fields: {} }))
    else add('button.fleet', () => ({ verb: 'home', fields: {} }))
    add('button.refresh', (server) => ({ verb: 'server', fields: { server } }))
    return range
  })
  return menu
}

function pickerMenu(fleet: Fleet, go: (ctx: BotContext, tap: Tap) => Promise<void>): Menu<BotContext> {
  /** Payload: `<page>` or `<page>-<server>`, so that a press knows which page it stood on. */
  const pageIn = (ctx: BotContext): Paged<Server> =>
    pageOf(troubleFirst(fleet.servers.list()), Number(payloadOf(ctx).split('-')[0] ?? 0))
  const menu = new Menu<BotContext>('picker', {
    autoAnswer: false,
    fingerprint: (ctx) => {
      const { items, page, pages } = pageIn(ctx)
      // Which servers stand where is no part of it: a button says whom it means, and trouble changes their order.
      return `${page}/${pages} ${items.length} ${fleet.servers.list().length}`
    },
    onMenuOutdated: (ctx) => go(ctx, { verb: 'servers', fields: { page: pageIn(ctx).page } }),
  })
  menu.dynamic((ctx) => {
    const range = new MenuRange<BotContext>()
    const { items, page, pages } = pageIn(ctx)
    const here = String(page)
    range
      .text({ text: (c: BotContext) => c.t('button.allServers'), payload: here }, (c) =>
        go(c, { verb: 'all', fields: {} }),
      )
      .row()
    for (const item of items) {
      range
        .text({ text: short(serverLabel(item)), payload: `${page}-${item.id}` }, (c) =>
          go(c, { verb: 'server', fields: { server: Number(String(c.match).split('-')[1]) } }),
        )
        .row()
    }
    if (pages > 1) {
      const turn = (label: string, by: number): MenuRange<BotContext> =>
        range.text({ text: label, payload: here }, (c) =>
          go(c, { verb: 'servers', fields: { page: (Number(c.match) + by + pages) % pages } }),
        )
      turn('◀', -1)
      turn(`${page + 1}/${pages}`, 0)
      turn('▶', 1)
      range.row()
    }
    range.text({ text: (c: BotContext) => c.t('button.fleet'), payload: here }, (c) =>
      go(c, { verb: 'home', fields: {} }),
    )
    range.text({ text: (c: BotContext) => c.t('button.addServer'), payload: here }, (c) =>
      go(c, { verb: 'addServer', fields: {} }),
    )
    return range
  })
  return menu
}

/** A label without variables. */
function plain(ctx: BotContext, key: PlainKey): string {
  return (ctx.t as (key: PlainKey) => string)(key)
}
