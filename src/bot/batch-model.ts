import type { Fleet, TaskView } from '#src/fleet/types.ts'
import { button } from './buttons.ts'
import type { T } from './i18n/texts.ts'
import type { BatchModel } from './screens/batch.ts'
import type { Keyboard } from './types.ts'

interface KnownInput {
  id?: string
  tag?: string
  email?: string
  enabled?: boolean
  clients?: { email: string }[]
}

/** What a batch was about, from its tasks alone: so it can be shown after a restart. */
export function batchModel(fleet: Fleet, id: string, tasks: TaskView[], settled: boolean, t: T): BatchModel {
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
