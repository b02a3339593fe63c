import type { SystemStats } from '#src/contract/index.ts'
import type { Server } from '#src/fleet/types.ts'
import { button, short } from '../buttons.ts'
import { bytes, duration, isToJoin, moment, percent, statusDot, statusName } from '../format.ts'
import { HERE, html, lines, placed } from '../html.ts'
import { errorWords, type T } from '../i18n/texts.ts'
import type { NextStep } from '../next-step.ts'
import type { Screen } from '../types.ts'

/** A live reading of a server's load: not there yet, not to be had, or the figures. */
export type Load = { state: 'asking' } | { state: 'unreachable' } | { state: 'known'; stats: SystemStats }

export interface ServerModel {
  server: Server
  totals: { inbounds: number; clients: number; up: number; down: number }
  next: NextStep
  /** Changes that wait for this server. */
  open: number
  load: Load
  /** When its mirror was last brought up to date (ms); null where the rows are the truth. */
  syncedAt: number | null
  now: number
}

function loadLine(load: Load, t: T): string {
  if (load.state === 'asking') return t('server.loadAsking')
  if (load.state === 'unreachable') return t('server.loadUnreachable')
  const { cpu, memory, disk } = load.stats
  return t('server.load', {
    cpu: Math.round(cpu),
    memory: percent(memory.used, memory.total),
    disk: percent(disk.used, disk.total),
  })
}

function stateWords(server: Server, t: T): string {
  return server.enabled ? t(`status.${statusName(server)}`) : t('status.disabled')
}

/** One server: how it is, what runs on it, and what can be done with it. */
export function serverScreen(model: ServerModel, t: T): Screen {
  const { server, totals } = model
  const away = server.status === 'offline' || server.status === 'error'
  const isWrong = away || server.status === 'partly'
  const why = server.problem === null ? server.lastError : errorWords(t, server.problem)
  return {
    place: { path: [server.name] },
    text: lines(
      `${statusDot(server)} ${stateWords(server, t)}`,
      isWrong && why !== null && html`<i>${short(why, 300)}</i>`,
      away &&
        server.lastSeen !== null &&
        placed(t('server.seen', { time: HERE }), moment(server.lastSeen, 'ago')),
      isToJoin(server) && t('server.toJoin'),
      server.status !== 'pending' &&
        t('server.versions', { xray: short(server.xrayVersion ?? '–'), agent: short(server.version ?? '–') }),
      server.publicAddress !== null && html`${t('server.address')} <code>${server.publicAddress}</code>`,
      server.region !== '' && t('server.region', { region: server.region }),
      server.enabled && server.status !== 'pending' && loadLine(model.load, t),
      '',
      t('server.counts', { inbounds: totals.inbounds, clients: totals.clients }),
      t('home.traffic', { up: bytes(totals.up), down: bytes(totals.down) }),
      server.status !== 'pending' && model.next === 'addInbound' && `\n${t('clients.first')}`,
      model.open > 0 && t('server.open', { count: model.open }),
      model.syncedAt !== null &&
        server.status !== 'online' &&
        placed(t('server.synced', { time: HERE }), moment(model.syncedAt, 'ago')),
      server.notes !== '' && html`\n<i>${server.notes}</i>`,
    ),
    keyboard: { menu: 'server', server: server.id },
  }
}

/** Load and traffic of one server in figures. */
export function usageScreen(model: ServerModel, t: T): Screen {
  const { server, load, totals } = model
  const stats = load.state === 'known' ? load.stats : undefined
  const noStats = server.enabled ? loadLine(load, t) : t('errors.SERVER_DISABLED')
  const usage = (of: { used: number; total: number }): { used: string; total: string; percent: number } => ({
    used: bytes(of.used),
    total: bytes(of.total),
    percent: percent(of.used, of.total),
  })
  return {
    place: { path: [server.name, t('crumb.usage')] },
    text: lines(
      stats === undefined && noStats,
      stats !== undefined && t('usage.cpu', { cpu: Math.round(stats.cpu), count: stats.cores }),
      stats !== undefined &&
        t('usage.load', { load: stats.load.map((value) => value.toFixed(2)).join(' · ') }),
      stats !== undefined && t('usage.memory', usage(stats.memory)),
      stats !== undefined && stats.swap.total > 0 && t('usage.swap', usage(stats.swap)),
      stats !== undefined && t('usage.disk', usage(stats.disk)),
      stats !== undefined &&
        t('usage.network', { received: bytes(stats.network.received), sent: bytes(stats.network.sent) }),
      stats !== undefined && t('usage.uptime', { time: duration(t, stats.uptime * 1000) }),
      '',
      t('usage.xray', { up: bytes(totals.up), down: bytes(totals.down) }),
      t('server.counts', { inbounds: totals.inbounds, clients: totals.clients }),
      placed(t('home.updated', { time: HERE }), moment(model.now, 'ago')),
    ),
    keyboard: [
      [
        button(t('button.back'), 'server', { server: server.id }),
        button(t('button.refresh'), 'usage', { server: server.id }),
      ],
    ],
  }
}
