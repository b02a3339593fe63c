import { describe, expect, test } from 'vitest'
import type { TaskView } from '#src/fleet/types.ts'
import { parseHtml } from '#src/playground/html.ts'
import { loadLanguages } from '../i18n/texts.ts'
import { batchLines, type BatchTask, countServers } from './batch-lines.ts'

const { t } = loadLanguages().forCode('en')

function task(
  serverId: number,
  subject: string,
  status: TaskView['status'],
  change: Partial<BatchTask> = {},
): BatchTask {
  return {
    id: `${serverId} ${subject}`,
    batch: 'b',
    serverId,
    serverName: `s${serverId}`,
    operation: 'clients.add',
    input: {},
    status,
    attempts: 1,
    error: null,
    createdAt: 0,
    finishedAt: null,
    subject,
    ...change,
  }
}
const taken = { error: { code: 'PORT_TAKEN', message: '', details: { port: 443, by: 'nginx' } } } as const
const wordsOf = (tasks: BatchTask[]): string[] =>
  batchLines({ tasks, disabled: new Set([9]), settled: true }, t).map(
    ({ text }) => parseHtml(text.value).text,
  )

describe('the lines of a result', () => {
  test('what went alike on a server is one line, however much it is', () => {
    const tasks = [1, 2].flatMap((id) => ['a', 'b', 'c'].map((tag) => task(id, tag, 'applied')))
    expect(wordsOf(tasks)).toEqual(['✅ s1', '✅ s2'])
    expect(wordsOf([task(9, 'a', 'pending'), task(9, 'b', 'pending')])).toEqual([
      '⏳ s9: will follow when it is enabled again',
    ])
  })

  test('what did not is told apart, and failures come first', () => {
    const tasks = [task(1, 'a', 'applied'), task(1, 'b', 'failed', taken), task(1, 'c', 'applied')]
    expect(wordsOf([task(2, 'a', 'applied'), ...tasks])).toEqual([
      '❌ s1 · b: Port 443 is used by nginx. Choose a free port.',
      '✅ s2',
      '✅ s1 · a, c',
    ])
  })

  test('many that went well share lines, after those of which there is more to say', () => {
    const well = Array.from({ length: 12 }, (_, i) => task(i + 10, 'a', 'applied'))
    const tasks = [...well, task(9, 'a', 'pending'), task(1, 'a', 'failed', taken)]
    expect(wordsOf(tasks)).toEqual([
      '❌ s1: Port 443 is used by nginx. Choose a free port.',
      '⏳ s9: will follow when it is enabled again',
      '✅ s10, s11, s12, s13, s14',
      '✅ s15, s16, s17, s18, s19',
      '✅ s20, s21',
    ])
    expect(wordsOf(well.slice(0, 8))).toHaveLength(8)
  })

  test('what comes before a change has a line of its own', () => {
    const tasks = [
      task(1, 'x.example', 'applied', { operation: 'certificates.generate' }),
      task(1, 'a', 'applied'),
    ]
    expect(wordsOf(tasks)).toEqual(['✅ s1 · x.example', '✅ s1 · a'])
  })
})

test('servers are counted, each once, for the worst that became of any part', () => {
  const tasks = [
    task(1, 'a', 'applied'),
    task(1, 'b', 'failed', taken),
    task(1, 'c', 'pending'),
    task(2, 'a', 'applied'),
    task(2, 'b', 'running'),
    task(3, 'a', 'unchanged'),
    task(3, 'b', 'applied'),
  ]
  expect(countServers(tasks)).toEqual({ done: 1, waiting: 1, failed: 1, total: 3 })
})
