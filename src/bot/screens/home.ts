import type { Server } from '#src/fleet/types.ts'
import { button, inRows, short } from '../buttons.ts'
import { bytes, isReachable, moment, statusDot, statusName } from '../format.ts'
import { HERE, type Html, html, lines, placed } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { type NextStep, styleOf } from '../next-step.ts'
import { PAGE_SIZE } from '../paging.ts'
import { serverLabel } from '../server-list.ts'
import type { Screen } from '../types.ts'

export interface HomeModel {
  servers: Server[]
  totals: { clients: number; up: number; down: number }
  next: NextStep
  /** ms */
  now: number
}

/** Problems get a line and a button each, up to here: more would push the rest off the screen. */
const MOST_PROBLEMS = 8
/** Worst first. */
const PROBLEMS = ['offline', 'error', 'partly', 'pending'] as const

/** Servers somebody should look at, worst first. */
function problemsOf(servers: Server[]): { server: Server; status: (typeof PROBLEMS)[number] }[] {
  return PROBLEMS.flatMap((status) =>
    servers
      .filter((server) => server.enabled && server.status === status)
      .map((server) => ({ server, status })),
  )
}

/** The fleet at a glance: problem servers first, counts, totals. */
export function homeScreen({ servers, totals, next, now }: HomeModel, t: T): Screen {
  const online = servers.filter((server) => server.enabled && server.status === 'online').length
  const disabled = servers.filter((server) => !server.enabled).length
  const problems = problemsOf(servers)
  const shown = problems.slice(0, MOST_PROBLEMS)
  const problemLine = ({ server, status }: (typeof problems)[number]): Html => {
    const seen =
      status !== 'offline' || server.lastSeen === null
        ? ''
        : html`, ${placed(t('home.seen', { time: HERE }), moment(server.lastSeen, 'ago'))}`
    return html`${statusDot(server)} <b>${short(server.name)}</b>: ${t(`home.${statusName({ kind: server.kind, status })}`)}${seen}`
  }
  return {
    place: { path: [] },
    text: lines(
      ...shown.map(problemLine),
      shown.length < problems.length && t('home.more', { n: problems.length - shown.length }),
      shown.length > 0 && '',
      `${online > 0 ? '🟢' : '⚪'} ${t('home.online', { online, total: servers.length })}`,
      disabled > 0 && t('home.disabled', { n: disabled }),
      t('home.people', { count: totals.clients, up: bytes(totals.up), down: bytes(totals.down) }),
      next === 'addInbound' && `\n${t('clients.first')}`,
      '',
      placed(t('home.updated', { time: HERE }), moment(now, 'ago')),
    ),
    keyboard: [
      ...inRows(
        shown.map(({ server }) =>
          button(`${statusDot(server)} ${server.name}`, 'server', { server: server.id }),
        ),
        2,
      ),
      [
        button(t('button.servers'), 'servers', { page: 0 }),
        button(t('button.clients'), 'clients', { server: 0, page: 0, filter: 'all', found: 'no' }),
      ],
      [
        button(t('button.addInbound'), 'addInbound', { server: 0 }, styleOf('addInbound', next)),
        button(t('button.addClient'), 'addClient', { server: 0 }, styleOf('addClient', next)),
      ],
      [button(t('button.addServer'), 'addServer', {}), button(t('button.refresh'), 'home', {})],
    ],
  }
}

/** What can be done to every server at once. */
export function allScreen({ servers }: { servers: Server[] }, t: T): Screen {
  const wanted = servers.filter((server) => server.enabled)
  const reachable = wanted.filter(isReachable).length
  return {
    place: { path: [t('crumb.all')] },
    text: lines(
      t('all.reachable', { reachable, total: wanted.length }),
      reachable < wanted.length && t('all.follow', { count: wanted.length - reachable }),
    ),
    keyboard: [
      [
        button(t('button.addInbound'), 'addInbound', { server: 0 }),
        button(t('button.addClient'), 'addClient', { server: 0 }),
      ],
      [
        button(t('button.clients'), 'clients', { server: 0, page: 0, filter: 'all', found: 'no' }),
        button(t('button.restart'), 'restart', { server: 0 }),
      ],
      [button(t('button.servers'), 'servers', { page: 0 }), button(t('button.fleet'), 'home', {})],
    ],
  }
}

export function pickerScreen(model: { page: number; pages: number }, t: T): Screen {
  return {
    place: { path: [t('crumb.servers')], page: model },
    text: lines(t('picker.which'), model.pages > 1 && t('picker.search')),
    keyboard: { menu: 'picker', page: model.page },
  }
}

/** Servers found by what was typed: a page of them, and how many more there are. */
export function foundServersScreen({ found, words }: { found: Server[]; words: string }, t: T): Screen {
  const shown = found.slice(0, PAGE_SIZE)
  return {
    place: { path: [t('crumb.servers')] },
    text: lines(
      found.length === 0 ? t('wizard.noServer', { search: words }) : t('wizard.searched', { search: words }),
      shown.length < found.length && t('picker.more', { n: found.length - shown.length }),
    ),
    keyboard: [
      ...shown.map((server) => [button(serverLabel(server), 'server', { server: server.id })]),
      [button(t('button.showAll'), 'servers', { page: 0 }), button(t('button.home'), 'home', {})],
    ],
  }
}
