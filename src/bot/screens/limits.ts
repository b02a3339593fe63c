import type { BlockReason, Client } from '#src/contract/index.ts'
import type { Person } from '#src/fleet/types.ts'
import { button, inRows } from '../buttons.ts'
import { bar, bytes, moment, namesOf, percent } from '../format.ts'
import { HERE, type Html, html, lines, placed } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { limitKinds } from '../limit-choices.ts'
import type { Screen } from '../types.ts'

type Limits = Pick<Client, 'limitBytes' | 'expiresAt' | 'lastsDays' | 'resetDays' | 'nextResetAt' | 'ipLimit'>

/** Whether all servers have the same limits. When days that began with the first use end differs by nature. */
function isSame(person: Person): boolean {
  const [first, ...others] = person.placements.map(({ client }) => agreed(client))
  return others.every((other) => other === first)
}

function agreed({ limitBytes, expiresAt, lastsDays, resetDays, ipLimit }: Limits): string {
  return JSON.stringify([limitBytes, lastsDays === null ? expiresAt : lastsDays, resetDays, ipLimit])
}

/** The bar of the server where most of the limit is used up: there it ends first. */
function usageLine({ placements }: Person, t: T): string | undefined {
  const used = placements
    .filter(({ client }) => client.limitBytes !== null)
    .map(({ server, client }) => {
      const limit = client.limitBytes ?? 1
      return {
        server: server.name,
        used: client.up + client.down,
        limit,
        share: (client.up + client.down) / limit,
      }
    })
  const most = used.toSorted((a, b) => b.share - a.share)[0]
  if (most === undefined) return undefined
  const words = { used: bytes(most.used), limit: bytes(most.limit) }
  const usage =
    placements.length === 1
      ? t('limits.usage', words)
      : t('limits.usageOn', { ...words, server: most.server })
  return `${bar(most.share)} ${Math.min(999, percent(most.used, most.limit))}% · ${usage}`
}

function endLine({ placements }: Person, t: T): Html | string | undefined {
  const [first] = placements.map(({ client }) => client)
  if (first === undefined) return undefined
  // Begun on several servers on several days: the last of them.
  const ends = placements.flatMap(({ client }) => client.expiresAt ?? [])
  const end = ends.length === 0 ? null : Math.max(...ends)
  const until = end === null ? undefined : placed(t('limits.until', { time: HERE }), moment(end, 'at'))
  if (first.lastsDays === null) return until
  const days = t('limits.daysFromFirstUse', { count: first.lastsDays })
  return until === undefined ? t('limits.lasts', { days }) : html`${t('limits.lasts', { days })} · ${until}`
}

function periodLine({ resetDays, nextResetAt }: Limits, t: T): Html | undefined {
  if (resetDays === null) return undefined
  const words = t('limits.resets', { every: t('limits.everyDays', { count: resetDays }), time: HERE })
  return nextResetAt === null ? undefined : placed(words, moment(nextResetAt, 'at'))
}

/** Why the client is let in no more, and where not. */
function refusedLines({ placements }: Person, t: T): string[] {
  const reasons = new Map<BlockReason, string[]>()
  for (const { server, client } of placements) {
    if (client.blocked === null || !client.enabled) continue
    reasons.set(client.blocked, [...(reasons.get(client.blocked) ?? []), server.name])
  }
  return [...reasons].map(([reason, servers]) => {
    const where = servers.length === placements.length ? '' : ` (${namesOf(servers, 3)})`
    return `⛔ ${t(`limits.refused.${reason}`)}${where}`
  })
}

/** Limits of a client in a few lines; none where there are none. */
export function limitLines(person: Person, t: T): (Html | string | undefined | false)[] {
  const [first] = person.placements.map(({ client }) => client)
  return [
    ...refusedLines(person, t),
    usageLine(person, t),
    endLine(person, t),
    first !== undefined && first.ipLimit !== null && t('limits.addresses', { count: first.ipLimit }),
    first !== undefined && periodLine(first, t),
  ]
}

export interface LimitsModel {
  person: Person
  /** The placement the screen was opened by. */
  at: { server: number; client: number }
}

/** A client's limits, with a button for each. */
export function limitsScreen({ person, at }: LimitsModel, t: T): Screen {
  const present = limitLines(person, t).filter((line) => line !== undefined && line !== false)
  return {
    place: { path: [t('crumb.clients'), person.email, t('crumb.limits')] },
    text: lines(
      ...(present.length === 0 ? [t('limits.unlimited')] : present),
      '',
      person.placements.length > 1 && t('limits.perServer'),
      !isSame(person) && t('limits.differ'),
      t('limits.which'),
    ),
    keyboard: [
      ...inRows(
        limitKinds.map((limit) => button(t(`limits.kind.${limit}`), 'editLimit', { ...at, limit })),
        2,
      ),
      [button(t('button.resetTraffic'), 'resetTraffic', at)],
      [button(t('button.back'), 'client', { ...at, page: 0 })],
    ],
  }
}
