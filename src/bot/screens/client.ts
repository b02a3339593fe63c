import type { Person, Server } from '#src/fleet/types.ts'
import { button, pager, short } from '../buttons.ts'
import { bytes, moment, statusDot } from '../format.ts'
import { HERE, type Html, html, lines, placed } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { type Paged, packed } from '../paging.ts'
import type { Keyboard, Screen } from '../types.ts'
import { serversOf } from './client-servers.ts'
import { limitLines } from './limits.ts'
import { type LinkRef, qrButtons } from './qr.ts'

/** One way to connect: a link of a client on a server. */
export interface LinkEntry extends LinkRef {
  server: Server
  enabled: boolean
}

/** Links on one page of a card: more would push the rest off the screen of a phone. */
const MOST_LINKS = 6
/** Characters for the links of a page: with everything else on the card they stay below Telegram's 4096. */
const ROOM_FOR_LINKS = 2_500
/** Servers that are waited for and have a line of their own. */
const MOST_WAITING = 3

/** One page of links: as many as fit, which depends on how long the names in them are. */
export function pageOfLinks(entries: readonly LinkEntry[], page: number): Paged<LinkEntry> {
  return packed(entries, page, {
    most: MOST_LINKS,
    room: ROOM_FOR_LINKS,
    size: ({ link, server, tag }) => (link?.length ?? 0) + server.name.length + tag.length,
  })
}

/** Links that come with an app's long parameters and names may be longer than what is left of a message. */
function linkLine(link: string | undefined, t: T): Html | string {
  if (link === undefined) return t('client.noLink')
  return link.length > ROOM_FOR_LINKS ? t('client.longLink') : html`<code>${link}</code>`
}

function waitingLines({ waiting }: Person, t: T): (Html | string)[] {
  const rest = waiting.length - MOST_WAITING
  const shown = waiting.slice(0, MOST_WAITING)
  return [
    ...shown.map(
      ({ name, enabled }) =>
        html`\n⏳ <b>${short(name, 80)}</b>: ${t(enabled ? 'batch.follows' : 'batch.followsEnabled')}`,
    ),
    ...(rest > 0 ? [`⏳ ${t('batch.more', { n: rest })}`] : []),
  ]
}

export interface ClientModel {
  person: Person
  /** The placement the card was opened by: buttons name the person through it. */
  at: { serverId: number; clientId: number }
  entries: Paged<LinkEntry>
  /** There is one server only. */
  single: boolean
  /** The nonce behind the button that enables it; undefined where it is enabled everywhere. */
  enable: string | undefined
  /** Off is asked about first. */
  canDisable: boolean
}

function entryLines(entry: LinkEntry, single: boolean, isOff: boolean, t: T): Html {
  const state = entry.enabled || isOff ? '' : ` · ${t('client.off')}`
  const name = single ? html`<b>${entry.tag}</b>` : html`<b>${entry.server.name}</b> · ${entry.tag}`
  return lines(html`\n${statusDot(entry.server)} ${name}${state}`, linkLine(entry.link, t))
}

/** One client across the fleet: usage, state per server, links. */
export function clientScreen({ person, at, entries, single, enable, canDisable }: ClientModel, t: T): Screen {
  const { serverId: server, clientId: client } = at
  const servers = new Set(person.placements.map((placement) => placement.server.id)).size
  const lastActive = Math.max(0, ...person.placements.map((placement) => placement.client.lastActiveAt ?? 0))
  const isOff = person.placements.every(({ client: row }) => !row.enabled)
  const go = (page: number) => ({ server, client, page })
  const switches: Keyboard[number] = []
  if (enable !== undefined) switches.push(button(t('button.enable'), 'do', { nonce: enable }, 'success'))
  if (canDisable) switches.push(button(t('button.disable'), 'disableClient', { server, client }))
  // Where one of them is why it is refused, that is what to look at.
  const isRefused = person.placements.some(({ client: row }) => row.enabled && row.blocked !== null)
  switches.push(button(t('button.limits'), 'limits', { server, client }, isRefused ? 'primary' : undefined))
  switches.push(button(t('button.delete'), 'deleteClient', { server, client }, 'danger'))
  return {
    place: { path: [t('crumb.clients'), person.email], page: entries },
    text: lines(
      isOff && person.placements.length > 0 && t('client.offEverywhere'),
      t('client.traffic', {
        up: bytes(person.up),
        down: bytes(person.down),
        total: bytes(person.up + person.down),
      }),
      ...limitLines(person, t),
      !single && t('client.servers', { count: servers }),
      lastActive > 0 && placed(t('client.lastActive', { time: HERE }), moment(lastActive, 'ago')),
      ...entries.items.map((entry) => entryLines(entry, single, isOff, t)),
      ...waitingLines(person, t),
    ),
    nonces: enable === undefined ? [] : [enable],
    keyboard: [
      ...qrButtons(entries.items, single, t),
      ...pager(entries, 'client', go),
      switches,
      [
        button(single ? t('button.addToInbounds') : t('button.addToServers'), 'placeClient', {
          server,
          client,
        }),
        ...(serversOf(person).length > 1
          ? [button(t('button.removeFrom'), 'clientServers', { server, client, page: 0 })]
          : []),
      ],
      [
        button(t('button.toClients'), 'clients', { server: 0, page: 0, filter: 'all', found: 'no' }),
        button(t('button.refresh'), 'client', go(entries.page)),
      ],
    ],
  }
}
