import type { TaskView } from '#src/fleet/types.ts'
import { button } from '../buttons.ts'
import { type Html, html, lines } from '../html.ts'
import { errorWords, type T } from '../i18n/texts.ts'
import type { Keyboard, Screen } from '../types.ts'
import { crumbs } from './crumbs.ts'

export interface BatchModel {
  id: string
  tasks: TaskView[]
  /** True once every task is done or waits for a server that is away. */
  settled: boolean
  /** What the change was, in words: "Add client alice". */
  title: string
  /** Links that exist now, for a client that was added. */
  links: { server: string; link: string }[]
  /** Where to go from here. */
  next: Keyboard
}

/** Lines of a progress report: more do not fit a message. */
const MOST_LINES = 40
/** Links shown in a result: the rest is on the client's card. */
const MOST_LINKS = 6

const MARKS = {
  pending: '⏳',
  running: '⏳',
  applied: '✅',
  unchanged: '✅',
  failed: '❌',
  cancelled: '❌',
  expired: '❌',
  skipped: '➖',
} as const

function taskLine(task: TaskView, settled: boolean, t: T): Html {
  const why =
    task.error !== null && MARKS[task.status] === '❌'
      ? html`: ${errorWords(t, task.error)}`
      : settled && MARKS[task.status] === '⏳'
        ? html`: ${t('batch.follows')}`
        : ''
  return html`${MARKS[task.status]} ${task.serverName}${why}`
}

/** A change on one or many servers while it happens, and its result: a line for every server. */
export function batchScreen({ id, tasks, settled, title, links, next }: BatchModel, t: T): Screen {
  const count = (mark: string): number => tasks.filter((task) => MARKS[task.status] === mark).length
  const [done, waiting, failed] = [count('✅') + count('➖'), count('⏳'), count('❌')]
  const hidden = tasks.length - MOST_LINES
  // Failures first where not everything fits: they are what somebody must act on.
  const order =
    hidden > 0
      ? [...tasks].sort((a, b) => Number(MARKS[b.status] === '❌') - Number(MARKS[a.status] === '❌'))
      : tasks
  return {
    text: lines(
      crumbs(t, [title]),
      '',
      ...order.slice(0, MOST_LINES).map((task) => taskLine(task, settled, t)),
      hidden > 0 && t('batch.more', { n: hidden }),
      '',
      !settled && t('batch.working', { done, total: tasks.length }),
      settled && failed === 0 && waiting === 0 && t('batch.done', { done, total: tasks.length }),
      settled && (failed > 0 || waiting > 0) && t('batch.summary', { done, waiting, failed }),
      ...links.slice(0, MOST_LINKS).map(
        (entry) =>
          html` <b>${entry.server}</b>
            <code>${entry.link}</code>`,
      ),
      links.length > MOST_LINKS && t('batch.moreLinks', { n: links.length - MOST_LINKS }),
    ),
    keyboard: [
      ...(settled && failed > 0
        ? [[button(t('button.retryFailed'), 'retry', { batch: id }, 'primary')]]
        : []),
      ...next,
    ],
  }
}
