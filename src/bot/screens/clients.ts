import type { ClientRow, Page, Person, Server } from '#src/fleet/types.ts'
import { button, pager, short } from '../buttons.ts'
import { bytes } from '../format.ts'
import { type Html, html, lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { NextStep } from '../next-step.ts'
import type { Keyboard, Screen } from '../types.ts'

type ClientFilter = 'all' | 'disabled'

export interface ClientsModel {
  /** Undefined: the whole fleet. */
  server: Server | undefined
  /** `page` from 0. */
  rows: Pick<Page<unknown>, 'total' | 'page' | 'pages'> & {
    items: {
      serverId: number
      clientId: number
      email: string
      /** Partly: on some servers only. */
      enabled: 'yes' | 'partly' | 'no'
      /** It is refused somewhere, since a limit is reached. */
      blocked: boolean
      traffic: number
      servers: number
      /** It stands nowhere yet: what adds it waits. */
      waits?: true
    }[]
  }
  filter: ClientFilter
  search: string
  next: NextStep
}

export function clientItem(row: ClientRow): ClientsModel['rows']['items'][number] {
  const { serverId, id, email, enabled, blocked, up, down } = row
  return {
    serverId,
    clientId: id,
    email,
    enabled: enabled ? 'yes' : 'no',
    blocked: enabled && blocked !== null,
    traffic: up + down,
    servers: 1,
  }
}

function enabledOn({ placements }: Person): 'yes' | 'partly' | 'no' {
  if (placements.every(({ client }) => client.enabled)) return 'yes'
  return placements.some(({ client }) => client.enabled) ? 'partly' : 'no'
}

/** One who stands nowhere yet. */
function waitingItem({ email, waiting }: Person): ClientsModel['rows']['items'][number] | undefined {
  const [server] = waiting
  if (server === undefined) return undefined
  const nothing = { clientId: 0, enabled: 'yes', blocked: false, traffic: 0 } as const
  return { ...nothing, serverId: server.id, email, servers: waiting.length, waits: true }
}

/** A person of the fleet as one line; undefined where they are on no server any more. */
export function personItem(person: Person): ClientsModel['rows']['items'][number] | undefined {
  const [first] = person.placements
  if (first === undefined) return waitingItem(person)
  return {
    serverId: first.server.id,
    clientId: first.client.id,
    email: person.email,
    enabled: enabledOn(person),
    blocked: person.placements.some(({ client }) => client.enabled && client.blocked !== null),
    traffic: person.up + person.down,
    servers: person.placements.length,
  }
}

const onServers = ({ servers }: { servers: number }): string => (servers > 1 ? ` · ${servers} 🖥` : '')

function countWords(total: number, filter: ClientFilter, t: T): string {
  if (total > 0) return t('clients.count', { count: total })
  return filter === 'disabled' ? t('clients.noneDisabled') : t('clients.none')
}

function foundWords(total: number, search: string, t: T): Html {
  return html`${total === 0 ? t('clients.notFound') : t('clients.found', { count: total })} <b>${search}</b>`
}

/** Clients of a server or of the fleet, 8 a page; typing a name searches. */
export function clientsScreen({ server, rows, filter, search, next }: ClientsModel, t: T): Screen {
  const found = search === '' ? ('no' as const) : ('yes' as const)
  const scope = server?.id ?? 0
  const chip = (value: ClientFilter, label: string): Keyboard[number][number] =>
    button(value === filter ? `• ${label}` : label, 'clients', {
      server: scope,
      page: 0,
      filter: value,
      found,
    })
  // Nothing to search and nothing to filter.
  const isEmpty = rows.total === 0 && search === '' && filter === 'all'
  const all = { server: scope, page: 0, filter, found: 'no' } as const
  return {
    place: { path: [...(server === undefined ? [] : [server.name]), t('crumb.clients')], page: rows },
    text: lines(
      search === '' ? countWords(rows.total, filter, t) : foundWords(rows.total, search, t),
      isEmpty && next === 'addInbound' ? t('clients.first') : !isEmpty && t('clients.hint'),
    ),
    keyboard: [
      ...rows.items.map((row) => [
        row.waits === true
          ? button(`⏳ ${row.email}${onServers(row)}`, 'waiting', { server: row.serverId, page: 0 })
          : button(
              `${row.blocked ? '⛔' : { yes: '✅', partly: '◐', no: '⏸' }[row.enabled]} ${short(row.email, 24)} · ${bytes(row.traffic)}${onServers(row)}`,
              'client',
              { server: row.serverId, client: row.clientId, page: 0 },
            ),
      ]),
      ...pager(rows, 'clients', (page) => ({ server: scope, page, filter, found })),
      ...(isEmpty ? [] : [[chip('all', t('filter.all')), chip('disabled', t('filter.disabled'))]]),
      ...(search === '' ? [] : [[button(t('button.showAll'), 'clients', all)]]),
      [button(t(`button.${next}`), next, { server: scope }, 'primary')],
      [
        server === undefined
          ? button(t('button.fleet'), 'home', {})
          : button(t('button.back'), 'server', { server: scope }),
      ],
    ],
  }
}
