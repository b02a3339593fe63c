import type { ClientRow, Page, Person, Server } from '#src/fleet/types.ts'
import { button, pager } from '../buttons.ts'
import { bytes } from '../format.ts'
import { html, lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { Keyboard, Screen } from '../types.ts'
import { crumbs } from './crumbs.ts'

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
      enabled: boolean
      traffic: number
      servers: number
    }[]
  }
  filter: ClientFilter
  search: string
}

export function clientItem(row: ClientRow): ClientsModel['rows']['items'][number] {
  const { serverId, id, email, enabled, up, down } = row
  return { serverId, clientId: id, email, enabled, traffic: up + down, servers: 1 }
}

/** A person of the fleet as one line; undefined where they stand on no server any more. */
export function personItem(person: Person): ClientsModel['rows']['items'][number] | undefined {
  const first = person.placements[0]
  if (first === undefined) return undefined
  return {
    serverId: first.server.id,
    clientId: first.client.id,
    email: person.email,
    enabled: person.placements.some(({ client }) => client.enabled),
    traffic: person.up + person.down,
    servers: person.placements.length,
  }
}

/** Clients of a server or of the fleet, 8 a page; typing a name searches. */
export function clientsScreen({ server, rows, filter, search }: ClientsModel, t: T): Screen {
  const found = search === '' ? ('no' as const) : ('yes' as const)
  const scope = server?.id ?? 0
  const chip = (value: ClientFilter, label: string): Keyboard[number][number] =>
    button(value === filter ? `• ${label}` : label, 'clients', {
      server: scope,
      page: 0,
      filter: value,
      found,
    })
  const all = { server: scope, page: 0, filter, found: 'no' } as const
  return {
    text: lines(
      crumbs(t, [...(server === undefined ? [] : [server.name]), t('crumb.clients')], rows),
      '',
      search === ''
        ? t('clients.count', { count: rows.total })
        : html`${t('clients.found', { n: rows.total })} <b>${search}</b>`,
      t('clients.hint'),
    ),
    keyboard: [
      ...rows.items.map((row) => [
        button(
          `${row.enabled ? '✅' : '⏸'} ${row.email} · ${bytes(row.traffic)}${row.servers > 1 ? ` · ${row.servers} 🖥` : ''}`,
          'client',
          { server: row.serverId, client: row.clientId, page: 0 },
        ),
      ]),
      ...pager(rows, 'clients', (page) => ({ server: scope, page, filter, found })),
      ...(server === undefined
        ? []
        : [[chip('all', t('filter.all')), chip('disabled', t('filter.disabled'))]]),
      ...(search === '' ? [] : [[button(t('button.showAll'), 'clients', all)]]),
      [button(t('button.addClient'), 'addClient', { server: scope }, 'primary')],
      [
        server === undefined
          ? button(t('button.fleet'), 'home', {})
          : button(t('button.back'), 'server', { server: scope }),
      ],
    ],
  }
}
