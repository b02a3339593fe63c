import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lastLines, linesBackwards } from './log-lines.ts'

let dir: string
let file: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'log-lines-'))
  file = join(dir, 'error.log')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const last = (lines: number) => lastLines([file], { lines })

describe('the end of a log', () => {
  test('is its last lines, oldest first', async () => {
    writeFileSync(file, 'one\ntwo\nthree\n')
    expect(await last(2)).toEqual(['two', 'three'])
    expect(await last(10)).toEqual(['one', 'two', 'three'])
  })

  test('has also the line that is being written', async () => {
    writeFileSync(file, 'one\ntwo\nthr')
    expect(await last(2)).toEqual(['two', 'thr'])
  })

  test('is empty where there is none', async () => {
    expect(await last(10)).toEqual([])
    writeFileSync(file, '')
    expect(await last(10)).toEqual([])
  })

  test('has every line whole, wherever it lies across the pieces that are read', async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `${i} ${'Аня 🙂 '.repeat(i % 23)}.`)
    writeFileSync(file, `${lines.join('\n')}\n`)
    expect(await last(5_000)).toEqual(lines)
    expect(await last(777)).toEqual(lines.slice(-777))
  })

  test('shows of an endless line its beginning, and what stands around it', async () => {
    writeFileSync(file, `before\nbegin${'ю'.repeat(500_000)}end\nafter\n`)
    const [before, long, after, ...more] = await last(10)
    expect([before, after, more]).toEqual(['before', 'after', []])
    expect(long).toMatch(/^beginю+…$/)
    expect(Buffer.byteLength(long ?? '')).toBeLessThan(4_200)
  })

  test('goes on in the part before the rotation', async () => {
    const old = join(dir, 'error.log.1')
    writeFileSync(old, 'one\ntwo\n')
    writeFileSync(file, 'three\n')
    expect(await lastLines([file, old], { lines: 2 })).toEqual(['two', 'three'])
    rmSync(file)
    expect(await lastLines([file, old], { lines: 9 })).toEqual(['one', 'two'])
  })

  test('tells nothing twice when it is emptied while it is read', async () => {
    const old = join(dir, 'error.log.1')
    writeFileSync(old, 'older\n')
    writeFileSync(file, `${'x'.repeat(99)}\n`.repeat(2_000))
    const handles = await Promise.all([open(file), open(old)])
    let lines = 0
    for await (const line of linesBackwards(handles)) {
      expect(line).not.toBe('older')
      if (lines++ === 0) truncateSync(file)
    }
    expect(lines).toBeLessThan(700)
    await Promise.all(handles.map((handle) => handle.close()))
  })
})

describe('a log with a filter', () => {
  const lines = [
    '2026/11/25 18:45:20.100000 [Debug] app/log: Logger started',
    '2026/11/25 18:45:21.378427 [Info] infra/conf/serial: Reading config: &{Name:stdin:}',
    '2026/11/25 18:45:21.380471 [Warning] core: Xray 26.3.27 started',
    '2026/11/25 18:45:22.000000 [Error] transport/internet: failed to accept',
    'panic: runtime error',
    '[Warning] without a time',
    '2026/11/25 18:45:23.000000 [Info] [3021] app/dispatcher: says [Error] in its words',
  ]

  test('has the lines of a level and worse, and those that have none', async () => {
    writeFileSync(file, lines.join('\n'))
    const at = (level: 'debug' | 'info' | 'warning' | 'error') => lastLines([file], { lines: 99, level })
    expect(await at('debug')).toEqual(lines)
    expect(await at('info')).toEqual(lines.slice(1))
    expect(await at('warning')).toEqual(lines.slice(2, 6))
    expect(await at('error')).toEqual(lines.slice(3, 5))
  })

  test('has the lines that hold a text as it is, in upper or lower case alike', async () => {
    writeFileSync(file, lines.join('\n'))
    const with_ = (contains: string) => lastLines([file], { lines: 99, contains })
    expect(await with_('XRAY 26')).toEqual([lines[2]])
    expect(await with_('.*')).toEqual([])
    expect(await lastLines([file], { lines: 99, contains: 'core', level: 'error' })).toEqual([])
  })

  test('finds a rare line megabytes before the end, but does not search for ever', async () => {
    const noise = `${'2026/11/25 18:45:21.000000 [Info] '.padEnd(119, 'x')}\n`
    const rare = '2026/11/25 18:45:21.000000 [Error] here'
    const megabytes = (count: number): string => noise.repeat((count * 1024 * 1024) / noise.length)
    writeFileSync(file, `${rare}\n${megabytes(20)}`)
    expect(await lastLines([file], { lines: 5, level: 'error' })).toEqual([rare])
    writeFileSync(file, `${rare}\n${megabytes(33)}`)
    expect(await lastLines([file], { lines: 5, contains: 'here' })).toEqual([])
  })
})
