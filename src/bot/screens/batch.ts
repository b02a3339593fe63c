import { button, short } from '../buttons.ts'
import { type Html, html, lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { Keyboard, Screen } from '../types.ts'
import { batchLines, type BatchTask, countServers } from './batch-lines.ts'
import { type LinkRef, qrButtons } from './qr.ts'

export interface BatchModel {
  id: string
  tasks: BatchTask[]
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

/** A change on one or many servers while it happens, and its result: a line for every server. */
export function batchScreen(model: BatchModel, t: T): Screen {
  const { id, tasks, settled, links, next } = model
  const { done, waiting, failed, total } = countServers(tasks)
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
  const all = batchLines(model, t)
  const shown = fitting(
    all.map(({ text }) => text),
    ROOM_FOR_LINES,
  )
  const rest = all.slice(shown.length).reduce((sum, { stands }) => sum + stands, 0)
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
      rest > 0 && t('batch.more', { n: rest }),
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
