import type { TaskView } from '#src/fleet/types.ts'
import { inRows, short } from '../buttons.ts'
import { namesOf } from '../format.ts'
import { type Html, html } from '../html.ts'
import { errorWords, type T } from '../i18n/texts.ts'

/** A task with what it is about on its server: an inbound, a domain. */
export type BatchTask = TaskView & { subject: string }

interface Batch {
  tasks: readonly BatchTask[]
  /** Those of its servers that are disabled now. */
  disabled: ReadonlySet<number>
  /** True once every task is done or waits for its server. */
  settled: boolean
}

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

const markOf = ({ status }: TaskView): (typeof MARKS)[keyof typeof MARKS] => MARKS[status]

/** How many servers are done with all that a change is there, wait for some of it, or failed at some of it. */
export function countServers(
  tasks: readonly TaskView[],
): Record<'done' | 'waiting' | 'failed' | 'total', number> {
  const marks = new Map<number, Set<string>>()
  for (const task of tasks)
    marks.set(task.serverId, (marks.get(task.serverId) ?? new Set()).add(markOf(task)))
  const all = [...marks.values()]
  const failed = all.filter((seen) => seen.has('❌')).length
  const waiting = all.filter((seen) => !seen.has('❌') && seen.has('⏳')).length
  return { done: all.length - failed - waiting, waiting, failed, total: all.length }
}

/** It waits because its server is not to be reached: nothing that would have to be said of each. */
function isAway({ error }: TaskView): boolean {
  return ['SERVER_UNREACHABLE', 'SERVER_TIMEOUT', 'SERVER_NOT_JOINED'].includes(error?.code ?? '')
}

/** It has no certificate since getting that one failed, which is told of already. */
function lacksCertificate({ serverId, error }: TaskView, tasks: readonly TaskView[]): boolean {
  const isNotGot = tasks.some(
    (task) =>
      task.serverId === serverId && task.operation === 'certificates.generate' && markOf(task) === '❌',
  )
  return error?.code === 'CERTIFICATE_NOT_FOUND' && isNotGot
}

/** Why a task failed, or waits. */
function reasonOf(task: TaskView, { tasks, disabled, settled }: Batch, t: T): string {
  const isTold = markOf(task) === '❌' || (settled && !isAway(task))
  if (task.error !== null && isTold)
    return lacksCertificate(task, tasks) ? t('batch.needed') : short(errorWords(t, task.error), 200)
  if (!settled || markOf(task) !== '⏳') return ''
  return t(disabled.has(task.serverId) ? 'batch.followsEnabled' : 'batch.follows')
}

/** A line of a result, and how many servers' lines it is. */
export interface BatchLine {
  text: Html
  stands: number
}

/** From so many servers on of which there is nothing to say but their mark, they stand beside each other. */
const MANY = 9
/** Names beside each other: of the usual length they fill a line of a phone. */
const PER_LINE = 5

/**
 * What became of a change: a line for each server, and more where something else became of one part of it. Failures come
 * first: they are what somebody must act on, and not everything may fit. Many that went alike share lines.
 */
export function batchLines(batch: Batch, t: T): BatchLine[] {
  const alike = new Map<string, { task: BatchTask; reason: string; subjects: string[] }>()
  for (const task of batch.tasks) {
    const reason = reasonOf(task, batch, t)
    const key = JSON.stringify([task.serverId, task.operation, markOf(task), reason])
    const before = alike.get(key)
    if (before === undefined) alike.set(key, { task, reason, subjects: [task.subject] })
    else before.subjects.push(task.subject)
  }
  const all = [...alike.values()]
  const perServer = new Map<number, number>()
  for (const { task } of all) perServer.set(task.serverId, (perServer.get(task.serverId) ?? 0) + 1)
  const told = all
    .toSorted((a, b) => Number(markOf(b.task) === '❌') - Number(markOf(a.task) === '❌'))
    .map(({ task, reason, subjects }) => {
      const part = perServer.get(task.serverId) === 1 ? '' : ` · ${namesOf(subjects, 3)}`
      return { mark: markOf(task), name: short(task.serverName + part, 80), reason }
    })
  // Failures have a line each, whatever there is to say of them.
  const plain = (['⏳', '✅'] as const).map((mark) =>
    told.filter((each) => each.mark === mark && each.reason === ''),
  )
  const many = plain.filter((group) => group.length >= MANY)
  const shared = new Set(many.flat())
  return [
    ...told
      .filter((each) => !shared.has(each))
      .map(({ mark, name, reason }) => ({
        text: html`${mark} ${name}${reason === '' ? '' : `: ${reason}`}`,
        stands: 1,
      })),
    ...many
      .flatMap((group) => inRows(group, PER_LINE))
      .map((some) => ({
        text: html`${some[0]?.mark ?? ''} ${some.map(({ name }) => name).join(', ')}`,
        stands: some.length,
      })),
  ]
}
