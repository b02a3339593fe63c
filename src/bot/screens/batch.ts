import type { TaskView } from '#src/fleet/types.ts'
import { button, short } from '../buttons.ts'
import { type Html, html, lines } from '../html.ts'
import { errorWords, type T } from '../i18n/texts.ts'
import type { Keyboard, Screen } from '../types.ts'
import { type LinkRef, qrButtons } from './qr.ts'

export interface BatchModel {
  id: string
  tasks: TaskView[]
  /** Those of its servers that are disabled now. */
  disabled: ReadonlySet<number>
  /** True once every task is done or waits for its server. */
  settled: boolean
  /** Where the thing lives: the breadcrumb. */
  path: string[]
  /** What was changed: the name of a client, of an inbound. */
  name: string
  /** The change in words while it happens, and once it is so on every server: "Adding anna", "anna is added". */
  doing: string
  done: string
  /** There is one server only. */
  single: boolean
  /** Links that exist now, for a client that was added. */
  links: (LinkRef & { link: string })[]
  /** Where to go from here. */
  next: Keyboard
}

/** Characters for the lines of servers, and for links: together with the rest they stay below Telegram's 4096. */
const ROOM_FOR_LINES = 1_800
const ROOM_FOR_LINKS = 1_800

/** Buttons for QR pictures on a result; all of them are on the client's card. */
const MOST_QR = 6

const MARKS = {
  pending: '⏳',
  running: '⏳',
  applied: '✅',
  unchanged: '✅',
  failed: '❌',
  cancelled: '❌',
  expired: '❌',
  // Of old: nothing is left out any more.
  skipped: '❌',
} as const

function taskLine(task: TaskView, { settled, disabled, tasks }: BatchModel, t: T): Html {
  const isTold = MARKS[task.status] === '❌' || (settled && !isAway(task))
  const why =
    task.error !== null && isTold
      ? html`: ${lacksCertificate(task, tasks) ? t('batch.needed') : short(errorWords(t, task.error), 200)}`
      : settled && MARKS[task.status] === '⏳'
        ? html`: ${t(disabled.has(task.serverId) ? 'batch.followsEnabled' : 'batch.follows')}`
        : ''
  return html`${MARKS[task.status]} ${short(task.serverName, 80)}${why}`
}

/** It has no certificate since getting that one failed, which is told of already. */
function lacksCertificate({ serverId, error }: TaskView, tasks: readonly TaskView[]): boolean {
  const isNotGot = tasks.some(
    (task) =>
      task.serverId === serverId && task.operation === 'certificates.generate' && MARKS[task.status] === '❌',
  )
  return error?.code === 'CERTIFICATE_NOT_FOUND' && isNotGot
}

/** How many servers are done with all that a change is there, wait for some of it, or failed at some of it. */
function perServer(tasks: readonly TaskView[]): Record<'done' | 'waiting' | 'failed' | 'total', number> {
  const marks = new Map<number, Set<string>>()
  for (const { serverId, status } of tasks)
    marks.set(serverId, (marks.get(serverId) ?? new Set()).add(MARKS[status]))
  const all = [...marks.values()]
  const failed = all.filter((seen) => seen.has('❌')).length
  const waiting = all.filter((seen) => !seen.has('❌') && seen.has('⏳')).length
  return { done: all.length - failed - waiting, waiting, failed, total: all.length }
}

/** It waits because its server is not to be reached: nothing that would have to be said of each. */
function isAway({ error }: TaskView): boolean {
  return ['SERVER_UNREACHABLE', 'SERVER_TIMEOUT', 'SERVER_NOT_JOINED'].includes(error?.code ?? '')
}

/** A change on one or many servers while it happens, and its result: a line for every server. */
export function batchScreen(model: BatchModel, t: T): Screen {
  const { id, tasks, settled, links, next } = model
  const { done, waiting, failed, total } = perServer(tasks)
  const isDone = settled && failed === 0 && waiting === 0
  const counts = [
    ...(done > 0 ? [t('batch.countDone', { n: done })] : []),
    ...(waiting > 0 ? [t('batch.countWaiting', { n: waiting })] : []),
    ...(failed > 0 ? [t('batch.countFailed', { n: failed })] : []),
  ]
  const { doing } = model
  const headline =
    !settled || failed === 0
      ? doing
      : failed === total
        ? t('batch.failedAll', { doing })
        : t('batch.failedSome', { doing })
  // Failures first: they are what somebody must act on, and not everything may fit.
  const all = [...tasks]
    .sort((a, b) => Number(MARKS[b.status] === '❌') - Number(MARKS[a.status] === '❌'))
    .map((task) => taskLine(task, model, t))
  const shown = fitting(all, ROOM_FOR_LINES)
  const shownLinks = fitting(
    links.map(
      ({ server, tag, link }) =>
        html`\n${model.single ? '' : html`<b>${short(server.name)}</b> · `}${short(tag)}\n<code>${link}</code>`,
    ),
    ROOM_FOR_LINKS,
  )
  return {
    place: { path: model.path },
    text: lines(
      html`<b>${isDone ? model.done : headline}</b>`,
      ...shown,
      shown.length < all.length && t('batch.more', { n: all.length - shown.length }),
      '',
      !settled && t('batch.working', { done, count: total }),
      !settled &&
        tasks.some(({ operation }) => operation === 'certificates.generate') &&
        t('batch.takesLong'),
      isDone && t('batch.done', { done, count: total }),
      settled && !isDone && counts.join(' · '),
      ...shownLinks,
      shownLinks.length < links.length && t('batch.moreLinks', { count: links.length - shownLinks.length }),
    ),
    keyboard: [
      ...(settled && failed > 0
        ? [[button(t('button.retryFailed'), 'retry', { batch: id }, 'primary')]]
        : []),
      ...qrButtons(links.slice(0, MOST_QR), model.single, t),
      ...next,
    ],
  }
}

/** The first items that fit into so many characters of markup, which are never fewer than those shown. */
function fitting(items: Html[], room: number): Html[] {
  let used = 0
  const end = items.findIndex((item) => (used += item.value.length + 1) > room)
  return end < 0 ? items : items.slice(0, end)
}
