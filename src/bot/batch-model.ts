import type { Fleet, TaskView } from '#src/fleet/types.ts'
import { button } from './buttons.ts'
import type { T } from './i18n/texts.ts'
import type { BatchModel } from './screens/batch.ts'
import { serversOf } from './screens/client-servers.ts'
import { linkRefs } from './link-refs.ts'
import type { Keyboard } from './types.ts'

interface KnownInput {
  id?: string
  tag?: string
  domain?: string
  protocol?: string
  email?: string
  enabled?: boolean
  clients?: { email: string }[]
}

/** A restart has none. */
const inputOf = (task: Pick<TaskView, 'input'> | undefined): KnownInput => (task?.input ?? {}) as KnownInput

/** What a batch was about, from its tasks alone: so it can be shown after a restart. */
export function batchModel(fleet: Fleet, id: string, tasks: TaskView[], settled: boolean, t: T): BatchModel {
  // The change itself comes last: what it needs, such as a certificate for an inbound, stands before it.
  const last = tasks.at(-1)
  const main = tasks.filter(({ operation }) => operation === last?.operation)
  const first = main[0]
  const serverId = first?.serverId ?? 0
  const words = first === undefined ? 'other' : wordsOf(fleet, first, main)
  const name = first === undefined ? '' : nameIn(fleet, first)
  const home = [button(t('button.home'), 'home', {})]
  // One server: what comes next is on it too.
  const where = { server: main.length === 1 ? serverId : 0 }
  // Where a name or a port was refused everywhere, trying the same again is of no use.
  const isNowhere = settled && main.every(({ status }) => status === 'failed')
  const model = {
    id,
    tasks: tasks.map((task) => ({ ...task, subject: subjectOf(inputOf(task)) })),
    disabled: new Set(fleet.servers.list().flatMap((server) => (server.enabled ? [] : [server.id]))),
    settled,
    single: fleet.servers.isSingle(),
    name,
    doing: t(`batch.${words}.doing`, { name }),
    done: t(`batch.${words}.done`, { name }),
    links: [],
  }
  const ofClient = { ...model, path: [t('crumb.clients'), name] }
  // One server: its own inbound. Several: they have the name in common.
  const ofInbound = {
    ...model,
    path: [...(main.length === 1 ? [first?.serverName ?? ''] : []), t('crumb.inbounds'), name],
  }
  switch (words) {
    case 'addClient': {
      const links = settled ? linksOf(fleet, tasks, name) : []
      const again = button(t('button.addClient'), 'addClient', where)
      const next = isNowhere ? [[again]] : clientButtons(fleet, name, t)
      return { ...ofClient, links, next: [...next, home] }
    }
    case 'enableClient':
    case 'disableClient':
    case 'limitClient':
    case 'resetClient':
    case 'removeClient':
      return { ...ofClient, next: [...clientButtons(fleet, name, t), home] }
    case 'deleteClient': {
      const list = { server: 0, page: 0, filter: 'all', found: 'no' } as const
      return { ...ofClient, next: [[button(t('button.clients'), 'clients', list)], home] }
    }
    case 'addInbound': {
      const again = button(t('button.addInbound'), 'addInbound', where)
      const isThere = settled && main.some(({ status }) => status === 'applied' || status === 'unchanged')
      const next = isThere
        ? [...clientFor(fleet, main, name, t), ...inboundButtons(fleet, main, name, t)]
        : isNowhere
          ? [[again]]
          : []
      return { ...ofInbound, next: [...next, home] }
    }
    case 'enableInbound':
    case 'disableInbound':
      return { ...ofInbound, next: [...inboundButtons(fleet, main, name, t), home] }
    case 'deleteInbound': {
      const list = [button(t('button.inbounds'), 'inbounds', { server: serverId, page: 0 })]
      return { ...ofInbound, next: [list, home] }
    }
    case 'getCertificate':
    case 'renewCertificate':
    case 'deleteCertificate': {
      const list = [
        button(t('button.certificates'), 'certificates', { server: serverId, page: 0 }, 'primary'),
      ]
      const path = [first?.serverName ?? '', t('crumb.certificates'), name]
      return { ...model, path, next: [list, home] }
    }
    case 'restart': {
      const back = tasks.length === 1 ? [[button(t('button.back'), 'server', { server: serverId })]] : []
      const where = tasks.length === 1 ? (first?.serverName ?? '') : t('crumb.all')
      return { ...model, path: [where, t('button.restart')], next: [...back, home] }
    }
    case 'other':
      return { ...model, path: [], next: [home] }
  }
}

/** Whether a client stands on servers that a change is not about. */
function isElsewhere(fleet: Fleet, tasks: readonly TaskView[], email: string): boolean {
  const person = fleet.view.person(email)
  const servers = person === undefined ? [] : serversOf(person)
  return servers.some(({ id }) => tasks.every(({ serverId }) => serverId !== id))
}

/** A change in words, while it is not done: "Adding anna". */
export function doingWords(fleet: Fleet, task: TaskView, t: T): string {
  return t(`batch.${wordsOf(fleet, task, [task])}.doing`, { name: nameIn(fleet, task) })
}

/** The name of the client, inbound or domain that a change is about. */
function nameIn(fleet: Fleet, task: TaskView): string {
  const { operation, serverId } = task
  const { tag, id, domain, email, clients } = inputOf(task)
  if (operation.startsWith('certificates.')) return domain ?? ''
  if (!operation.startsWith('inbounds.')) return email ?? clients?.[0]?.email ?? ''
  return tag ?? (id === undefined ? '' : tagOf(fleet, serverId, id))
}

/** @param all of the same change, on every server it is about */
function wordsOf(fleet: Fleet, task: TaskView, all: readonly TaskView[]) {
  const { operation } = task
  const { enabled } = inputOf(task)
  switch (operation) {
    case 'clients.add':
      return 'addClient'
    case 'clients.update':
      if (enabled === undefined) return 'limitClient'
      return enabled ? 'enableClient' : 'disableClient'
    case 'clients.resetTraffic':
      return 'resetClient'
    case 'clients.delete':
      return isElsewhere(fleet, all, nameIn(fleet, task)) ? 'removeClient' : 'deleteClient'
    case 'inbounds.add':
      return 'addInbound'
    case 'inbounds.update':
      return enabled === false ? 'disableInbound' : 'enableInbound'
    case 'inbounds.delete':
      return 'deleteInbound'
    case 'certificates.generate':
      return 'getCertificate'
    case 'certificates.renew':
      return 'renewCertificate'
    case 'certificates.delete':
      return 'deleteCertificate'
    case 'xray.restart':
      return 'restart'
    default:
      return 'other'
  }
}

/** What tells the parts of a change on one server apart: the inbound, or the domain. */
function subjectOf({ id, tag, domain }: KnownInput): string {
  return id ?? tag ?? domain ?? ''
}

function tagOf(fleet: Fleet, serverId: number, ref: string): string {
  return /^\d+$/.test(ref) ? (fleet.view.inbound(serverId, Number(ref))?.tag ?? `#${ref}`) : ref
}

/** Links of a client on the servers where it has arrived. */
function linksOf(fleet: Fleet, tasks: TaskView[], email: string): BatchModel['links'] {
  const links = new Map<string, BatchModel['links'][number]>()
  for (const { status, serverId, serverName } of tasks) {
    if (status !== 'applied' && status !== 'unchanged') continue
    const client = fleet.view.clientByEmail(serverId, email)
    if (client === undefined) continue
    const server = { id: serverId, name: serverName }
    for (const ref of linkRefs(fleet, server, client.id)) links.set(ref.link, ref)
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

/** What one adds an inbound for: a client, and where it is one inbound, in that; nobody stands in a tunnel. */
function clientFor(fleet: Fleet, tasks: TaskView[], tag: string, t: T): Keyboard {
  const [task, ...others] = tasks
  if (task === undefined || inputOf(task).protocol === 'tunnel') return []
  const server = others.length === 0 ? task.serverId : 0
  const made = fleet.view.inbounds(server).find((row) => row.tag === tag)
  const label = t('button.addClient')
  return [
    [
      made === undefined
        ? button(label, 'addClient', { server }, 'primary')
        : button(label, 'addClientTo', { server, inbound: made.id }, 'primary'),
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
      : [button(t('button.openInbound'), 'inbound', { server: serverId, inbound: inbound.id })],
  ]
}
