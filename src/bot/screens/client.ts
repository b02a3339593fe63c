import type { Person, Server } from '#src/fleet/types.ts'
import { button, pager } from '../buttons.ts'
import { bytes, moment, statusDot } from '../format.ts'
import { HERE, type Html, html, lines, placed } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { type Paged } from '../paging.ts'
import type { Keyboard, Screen } from '../types.ts'
import { crumbs } from './crumbs.ts'
import { limitLines } from './limits.ts'
import { qrButtons } from './qr.ts'

/** One way to connect: a link of a client on a server. `index` counts the links of that server. */
export interface LinkEntry {
  server: Server
  clientId: number
  enabled: boolean
  tag: string
  link: string | undefined
  index: number
}

/** Links on one page of a card: six of them stay well below the 4096 characters of a message. */
export const LINKS_PER_PAGE = 6

export interface ClientModel {
  person: Person
  /** The placement the card was opened by: buttons name the person through it. */
  at: { serverId: number; clientId: number }
  entries: Paged<LinkEntry>
  /** Nonces behind the switches; undefined where there is nothing to switch. */
  enable: string | undefined
  disable: string | undefined
}

function entryLines(entry: LinkEntry, t: T): Html {
  const state = entry.enabled ? '' : ` · ${t('client.off')}`
  return lines(
    html`\n${statusDot(entry.server)} <b>${entry.server.name}</b> · ${entry.tag}${state}`,
    entry.link === undefined ? t('client.noLink') : html`<code>${entry.link}</code>`,
  )
}

/** One client across the fleet: usage, state per server, links. */
export function clientScreen({ person, at, entries, enable, disable }: ClientModel, t: T): Screen {
  const { serverId: server, clientId: client } = at
  const servers = new Set(person.placements.map((placement) => placement.server.id)).size
  const lastActive = Math.max(0, ...person.placements.map((placement) => placement.client.lastActiveAt ?? 0))
  const go = (page: number) => ({ server, client, page })
  const switches: Keyboard[number] = []
  if (enable !== undefined) switches.push(button(t('button.enable'), 'do', { nonce: enable }, 'success'))
  if (disable !== undefined) switches.push(button(t('button.disable'), 'do', { nonce: disable }))
  switches.push(button(t('button.limits'), 'limits', { server, client }))
  switches.push(button(t('button.delete'), 'deleteClient', { server, client }, 'danger'))
  return {
    text: lines(
      crumbs(t, [t('crumb.clients'), person.email], entries),
      '',
      t('client.traffic', {
        up: bytes(person.up),
        down: bytes(person.down),
        total: bytes(person.up + person.down),
      }),
      ...limitLines(person, t),
      t('client.servers', { count: servers }),
      lastActive > 0 && placed(t('client.lastActive', { time: HERE }), moment(lastActive, 'ago')),
      ...entries.items.map((entry) => entryLines(entry, t)),
      ...person.waiting.map(
        (waiting) =>
          html`\n⏳ <b>${waiting.name}</b>: ${t(waiting.enabled ? 'batch.follows' : 'batch.followsEnabled')}`,
      ),
    ),
    nonces: [enable, disable].filter((nonce) => nonce !== undefined),
    keyboard: [
      ...qrButtons(entries.items, t),
      ...pager(entries, 'client', go),
      switches,
      [
        button(t('button.toClients'), 'clients', { server: 0, page: 0, filter: 'all', found: 'no' }),
        button(t('button.refresh'), 'client', go(entries.page)),
      ],
    ],
  }
}
