import { InputFile } from 'grammy'
import QRCode from 'qrcode'
import type { Fleet, TaskView } from '#src/fleet/types.ts'
import { button } from './buttons.ts'
import { encodeTap } from './callback-data.ts'
import { html } from './html.ts'
import type { T } from './i18n/texts.ts'
import { type BatchModel, batchScreen } from './screens/batch.ts'
import type { Services } from './services.ts'
import { safeFields } from './api-errors.ts'
import type { Keyboard, StageContext } from './types.ts'

/** Edits of a progress message come at most this often: Telegram allows about one message a second and chat. */
const BETWEEN_EDITS_MS = 800
/** QR pictures sent by themselves with a result; every other link has a button. */
const MOST_PICTURES = 3

const OPEN = new Set(['pending', 'running'])

export function batchAddress(id: string): string {
  return encodeTap('batch', { batch: id })
}

/** A link as a picture. Error correction L: a screen does not get dirty, and large modules scan from far. */
export async function qrPicture(link: string): Promise<InputFile> {
  const png = await QRCode.toBuffer(link, { errorCorrectionLevel: 'L', margin: 3, scale: 6 })
  return new InputFile(png, 'qr.png')
}

export interface Followers {
  /**
   * Draws a batch's progress as it happens while its screen is shown. `settled` is there for a batch started now;
   * without it, after a restart, whatever still waits is shown as waiting.
   */
  follow(ctx: StageContext, batch: string, settled?: Promise<unknown>): void
  /** Draws a batch as it is. `fresh`: it was started just now, and nothing is known to wait. */
  show(ctx: StageContext, batch: string, fresh?: boolean): Promise<void>
  /** Resolves when nothing is drawn any more. */
  idle(): Promise<void>
}

export function createFollowers(
  s: Pick<Services, 'fleet' | 'live' | 'chats' | 'runtime' | 'log' | 'signal'>,
): Followers {
  /** One follower for each place: the screen shown there. */
  const running = new Map<string, { stop: AbortController; work: Promise<void> }>()

  async function run(
    ctx: StageContext,
    batch: string,
    settled: Promise<unknown> | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const address = batchAddress(batch)
    let isSettled = settled === undefined
    let news = Promise.withResolvers<void>()
    let tasks = s.fleet.tasks.batch(batch)
    let pictures = settled !== undefined
    const stopWatching = s.fleet.tasks.watch(batch, (now) => {
      tasks = now
      news.resolve()
    })
    const onAbort = (): void => news.resolve()
    signal.addEventListener('abort', onAbort)
    if (settled === undefined) news.resolve()
    void settled?.then(() => {
      isSettled = true
      news.resolve()
    })
    try {
      for (;;) {
        await news.promise
        if (signal.aborted) return
        news = Promise.withResolvers()
        const model = batchModel(s.fleet, batch, tasks, isSettled, ctx.t)
        if (!(await s.live.refresh(ctx, batchScreen(model, ctx.t), address))) return
        if (isSettled && pictures) {
          pictures = false
          for (const { server, link } of model.links.slice(0, MOST_PICTURES)) {
            await s.live.photo(ctx, await qrPicture(link), html`<b>${model.title}</b>\n${server}`)
          }
        }
        if (isSettled && !tasks.some((task) => OPEN.has(task.status))) return
        await s.runtime.sleep(BETWEEN_EDITS_MS, signal)
      }
    } finally {
      stopWatching()
      signal.removeEventListener('abort', onAbort)
    }
  }

  return {
    follow(ctx, batch, settled) {
      const { key } = ctx.spot
      running.get(key)?.stop.abort()
      const stop = new AbortController()
      const signal = AbortSignal.any([stop.signal, s.signal])
      const work = run(ctx, batch, settled, signal)
        .catch((error: unknown) => {
          if (!signal.aborted)
            s.log.warn({ batch, error: safeFields(error) }, 'progress is not shown any more')
        })
        .finally(() => {
          if (running.get(key)?.stop === stop) running.delete(key)
        })
      running.set(key, { stop, work })
    },
    async show(ctx, batch, fresh = false) {
      const tasks = s.fleet.tasks.batch(batch)
      // Whether a pending one waits for its server or is on its way is told by the next change.
      const settled = !fresh && !tasks.some((task) => task.status === 'running')
      await s.live.show(
        ctx,
        batchScreen(batchModel(s.fleet, batch, tasks, settled, ctx.t), ctx.t),
        batchAddress(batch),
      )
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled([...running.values()].map(({ work }) => work))
    },
  }
}

interface KnownInput {
  id?: string
  tag?: string
  email?: string
  enabled?: boolean
  clients?: { email: string }[]
}

/** What a batch was about, from its tasks alone: so it can be shown after a restart. */
function batchModel(fleet: Fleet, id: string, tasks: TaskView[], settled: boolean, t: T): BatchModel {
  const first = tasks[0]
  const input = (first?.input ?? {}) as KnownInput
  const email = input.email ?? input.clients?.[0]?.email
  const model = {
    id,
    tasks: perServer(tasks),
    settled,
    links: [],
    next: [[button(t('button.home'), 'home', {})]],
  }
  const serverId = first?.serverId ?? 0
  const tag = input.tag ?? (input.id === undefined ? '' : tagOf(fleet, serverId, input.id))
  switch (first?.operation) {
    case 'clients.add':
      return {
        ...model,
        title: t('batch.addClient', { name: email ?? '' }),
        links: settled ? linksOf(fleet, tasks, email ?? '') : [],
        next: [...clientButtons(fleet, email ?? '', t), ...model.next],
      }
    case 'clients.update':
      return {
        ...model,
        title: t(input.enabled === false ? 'batch.disableClient' : 'batch.enableClient', {
          name: email ?? '',
        }),
        next: [...clientButtons(fleet, email ?? '', t), ...model.next],
      }
    case 'clients.delete': {
      const list = { server: 0, page: 0, filter: 'all', found: 'no' } as const
      const next = [[button(t('button.clients'), 'clients', list)], ...model.next]
      return { ...model, title: t('batch.deleteClient', { name: email ?? '' }), next }
    }
    case 'inbounds.add':
      return {
        ...model,
        title: t('batch.addInbound', { tag }),
        next: [...inboundButtons(fleet, tasks, tag, t), ...model.next],
      }
    case 'inbounds.update': {
      const title = t(input.enabled === false ? 'batch.disableInbound' : 'batch.enableInbound', { tag })
      return { ...model, title, next: [...inboundButtons(fleet, tasks, tag, t), ...model.next] }
    }
    case 'inbounds.delete': {
      const next = [[button(t('button.inbounds'), 'inbounds', { server: serverId, page: 0 })], ...model.next]
      return { ...model, title: t('batch.deleteInbound', { tag }), next }
    }
    case 'xray.restart':
      return {
        ...model,
        title: t('batch.restart'),
        next: [
          ...(tasks.length === 1 ? [[button(t('button.back'), 'server', { server: serverId })]] : []),
          ...model.next,
        ],
      }
    default:
      return { ...model, title: first?.operation ?? t('batch.nothing') }
  }
}

/** A line per task; where one server has several, they differ by inbound. */
function perServer(tasks: TaskView[]): TaskView[] {
  const seen = new Map<number, number>()
  for (const task of tasks) seen.set(task.serverId, (seen.get(task.serverId) ?? 0) + 1)
  return tasks.map((task) =>
    (seen.get(task.serverId) ?? 0) > 1
      ? { ...task, serverName: `${task.serverName} · ${(task.input as KnownInput).id ?? ''}` }
      : task,
  )
}

function tagOf(fleet: Fleet, serverId: number, ref: string): string {
  return /^\d+$/.test(ref) ? (fleet.view.inbound(serverId, Number(ref))?.tag ?? `#${ref}`) : ref
}

/** Links of a client on the servers where it has arrived. */
function linksOf(fleet: Fleet, tasks: TaskView[], email: string): { server: string; link: string }[] {
  const links = new Map<string, { server: string; link: string }>()
  for (const task of tasks) {
    if (task.status !== 'applied' && task.status !== 'unchanged') continue
    const client = fleet.view.clientByEmail(task.serverId, email)
    if (client === undefined) continue
    for (const { link } of fleet.view.links(task.serverId, client.id)) {
      links.set(link, { server: task.serverName, link })
    }
  }
  return [...links.values()]
}

function clientButtons(fleet: Fleet, email: string, t: T): Keyboard {
  const at = fleet.view.person(email)?.placements[0]
  if (at === undefined) return []
  return [
    [
      button(
        t('button.openClient'),
        'client',
        { server: at.server.id, client: at.client.id, page: 0 },
        'primary',
      ),
    ],
  ]
}

function inboundButtons(fleet: Fleet, tasks: TaskView[], tag: string, t: T): Keyboard {
  const task = tasks[0]
  if (task === undefined || tasks.length > 1) return []
  const inbound = fleet.view.inbounds(task.serverId).find((row) => row.tag === tag)
  const { serverId } = task
  return [
    inbound === undefined
      ? [button(t('button.inbounds'), 'inbounds', { server: serverId, page: 0 })]
      : [button(t('button.openInbound'), 'inbound', { server: serverId, inbound: inbound.id }, 'primary')],
  ]
}
