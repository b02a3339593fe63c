import type { Server } from '#src/fleet/types.ts'
import { button, inRows } from '../buttons.ts'
import { bytes, clock, statusDot } from '../format.ts'
import { lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { Screen } from '../types.ts'
import { crumbs } from './crumbs.ts'

export interface HomeModel {
  servers: Server[]
  totals: { clients: number; up: number; down: number }
  /** ms */
  now: number
}

/** Problems get a button each, up to here: more would push the rest off the screen. */
const MOST_PROBLEMS = 8

/** True for a server somebody should look at. */
function isProblem(server: Server): boolean {
  return server.enabled && (server.status === 'offline' || server.status === 'error')
}

/** The fleet at a glance: counts, problem servers first, totals. */
export function homeScreen({ servers, totals, now }: HomeModel, t: T): Screen {
  const count = (status: Server['status']): number =>
    servers.filter((server) => server.enabled && server.status === status).length
  const disabled = servers.filter((server) => !server.enabled).length
  const problems = servers.filter(isProblem)
  return {
    text: lines(
      crumbs(t, []),
      '',
      t('home.counts', { total: servers.length, online: count('online') }),
      count('offline') > 0 && t('home.offline', { n: count('offline') }),
      count('error') > 0 && t('home.error', { n: count('error') }),
      count('pending') > 0 && t('home.pending', { n: count('pending') }),
      disabled > 0 && t('home.disabled', { n: disabled }),
      '',
      t('home.clients', { n: totals.clients }),
      t('home.traffic', { up: bytes(totals.up), down: bytes(totals.down) }),
      '',
      t('home.updated', { time: clock(now) }),
    ),
    keyboard: [
      ...inRows(
        problems
          .slice(0, MOST_PROBLEMS)
          .map((server) => button(`${statusDot(server)} ${server.name}`, 'server', { server: server.id })),
        2,
      ),
      [
        button(t('button.servers'), 'servers', { page: 0 }),
        button(t('button.clients'), 'clients', { server: 0, page: 0, filter: 'all', found: 'no' }),
      ],
      [
        button(t('button.addInbound'), 'addInbound', { server: 0 }),
        button(t('button.addClient'), 'addClient', { server: 0 }),
      ],
      [button(t('button.addServer'), 'addServer', {}), button(t('button.refresh'), 'home', {})],
    ],
  }
}

/** What can be done to every server at once. */
export function allScreen({ servers }: { servers: Server[] }, t: T): Screen {
  const wanted = servers.filter((server) => server.enabled)
  const reachable = wanted.filter((server) => server.status === 'online' || server.status === 'error').length
  return {
    text: lines(
      crumbs(t, [t('crumb.all')]),
      '',
      t('all.reachable', { reachable, total: wanted.length }),
      reachable < wanted.length && t('all.follow', { n: wanted.length - reachable }),
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

export function pickerScreen(model: { page: number; pages: number; servers: number }, t: T): Screen {
  return {
    text: lines(crumbs(t, [t('crumb.servers')], model), '', t('picker.which', { n: model.servers })),
    keyboard: { menu: 'picker', page: model.page },
  }
}
