import { appendFile, mkdtemp, readdir, readlink, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hurriedRuntime } from '#test/support/hurried-runtime.ts'
import { createLogTails, type LogTails } from './log-tail.ts'

let dir: string
let file: string
let tails: LogTails
// Half a second is 25 ms.
const runtime = hurriedRuntime(20)

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tail-'))
  file = join(dir, 'error.log')
  tails = createLogTails({ runtime })
})
afterEach(async () => {
  tails.close()
  await rm(dir, { recursive: true, force: true })
})

type Tail = ReturnType<LogTails['read']>

/** Reads until so many lines have come. */
async function lines(tail: Tail, count: number): Promise<string[]> {
  const seen: string[] = []
  while (seen.length < count) {
    const { done, value } = await tail.next()
    if (done === true) throw new Error('the end')
    seen.push(...value.lines)
  }
  return seen
}

async function openFiles(): Promise<string[]> {
  const names = await readdir('/proc/self/fd')
  const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')))
  return targets.filter((target) => target.startsWith(dir))
}

const numbers = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, n) => `line ${from + n}\n`).join('')

describe('a log that is read along with', () => {
  test('begins with its last lines, and goes on with what comes, whole lines only', async () => {
    await writeFile(file, `${numbers(0, 100)}torn`)
    const tail = tails.read(file, { lines: 3 })
    expect((await tail.next()).value).toEqual({ skipped: 0, lines: ['line 97', 'line 98', 'line 99'] })
    await appendFile(file, ' no more\nÄ')
    expect(await lines(tail, 1)).toEqual(['torn no more'])
    const rest = Buffer.from('Ö 🙂\n')
    for (const byte of rest) await appendFile(file, Buffer.from([byte]))
    expect(await lines(tail, 1)).toEqual(['ÄÖ 🙂'])
  })

  test('begins with nothing, when nothing is asked for or there', async () => {
    const tail = tails.read(file, { lines: 10 })
    expect((await tail.next()).value).toEqual({ skipped: 0, lines: [] })
    await writeFile(file, 'a\n')
    expect(await lines(tail, 1)).toEqual(['a'])
    const other = tails.read(file, { lines: 0 })
    expect((await other.next()).value).toEqual({ skipped: 0, lines: [] })
    await appendFile(file, 'b\n')
    expect(await lines(other, 1)).toEqual(['b'])
  })

  test('gives those lines alone that are wanted', async () => {
    await writeFile(file, '2026/01/01 00:00:00 [Info] zoo\n2026/01/01 00:00:00 [Error] ZOO\n')
    const tail = tails.read(file, { lines: 10, level: 'warning', contains: 'zoo' })
    expect(await lines(tail, 1)).toEqual(['2026/01/01 00:00:00 [Error] ZOO'])
    await appendFile(file, '2026/01/01 00:00:00 [Warning] b\n2026/01/01 00:00:01 [Warning] xZoo\n')
    expect(await lines(tail, 1)).toEqual(['2026/01/01 00:00:01 [Warning] xZoo'])
  })

  test('is followed when it is emptied, also if it has grown again since', async () => {
    await writeFile(file, numbers(0, 10))
    const tail = tails.read(file, { lines: 1 })
    await lines(tail, 1)
    await truncate(file)
    await appendFile(file, 'short\n')
    expect(await lines(tail, 1)).toEqual(['short'])
    // As Xray's own output at its next start: the same file, written from its beginning.
    const printed = (time: string): string => `${time} Reading config\n${'and so on '.repeat(200)}\n`
    await writeFile(file, printed('18:45:24.1'))
    await lines(tail, 2)
    await writeFile(file, printed('18:45:24.2'))
    expect((await lines(tail, 2))[0]).toBe('18:45:24.2 Reading config')
  })

  test('is followed when another takes its place, after what was still written to it', async () => {
    await writeFile(file, 'old\n')
    const tail = tails.read(file, { lines: 1 })
    await lines(tail, 1)
    await rename(file, `${file}.1`)
    await appendFile(`${file}.1`, 'late\n')
    expect(await lines(tail, 1)).toEqual(['late'])
    await appendFile(`${file}.1`, 'last\n')
    await writeFile(file, 'new\n')
    expect(await lines(tail, 2)).toEqual(['last', 'new'])
    expect(await openFiles()).toEqual([file])
  })

  test('says how many lines it leaves out when they are too many', async () => {
    await writeFile(file, '')
    const tail = tails.read(file, { lines: 1 })
    await tail.next()
    await appendFile(file, numbers(0, 50_000))
    let [seen, skipped, last] = [0, 0, '']
    while (last !== 'line 49999') {
      const { done, value } = await tail.next()
      if (done === true) throw new Error('the end')
      expect(value.lines.length).toBeLessThanOrEqual(200)
      seen += value.lines.length
      skipped += value.skipped
      last = value.lines.at(-1) ?? last
    }
    expect(seen + skipped).toBe(50_000)
    // Of tens of megabytes not even the number is known.
    await appendFile(file, numbers(0, 1_000_000))
    const { done, value } = await tail.next()
    if (done === true) throw new Error('the end')
    expect(value.skipped).toBeGreaterThan(1_000)
    expect(value.lines.at(-1)).toBe('line 999999')
  })

  test('gives the beginning of a line that is too long', async () => {
    await writeFile(file, '')
    const tail = tails.read(file, { lines: 1 })
    await tail.next()
    for (let n = 0; n < 20; n++) await appendFile(file, 'x'.repeat(100_000))
    await appendFile(file, '\nshort\n')
    const [long, short] = await lines(tail, 2)
    expect(long).toBe(`${'x'.repeat(2_000)}…`)
    expect(short).toBe('short')
  })

  test('says now and then that it is still there', async () => {
    const tail = tails.read(file, { lines: 1 })
    await tail.next()
    const since = runtime.now()
    expect((await tail.next()).value).toEqual({ skipped: 0, lines: [] })
    expect(runtime.now() - since).toBeGreaterThanOrEqual(10_000)
    expect(runtime.now() - since).toBeLessThan(25_000)
  })

  test.each(['leaves', 'is gone', 'is gone and asks no more', 'is closed'])(
    'is let go of when its reader %s',
    async (how) => {
      await writeFile(file, 'a\n')
      const gone = new AbortController()
      const tail = tails.read(file, { lines: 1 }, gone.signal)
      await tail.next()
      expect(await openFiles()).toEqual([file])
      const next = how === 'is gone and asks no more' ? undefined : tail.next()
      if (how === 'leaves') await tail.return()
      else if (how === 'is closed') tails.close()
      else gone.abort()
      if (next !== undefined) expect(await next).toMatchObject({ done: true })
      await expect.poll(openFiles).toEqual([])
      expect(tails.readers()).toBe(0)
    },
  )

  test('is for four at a time: the fifth makes the first leave, who is told why', async () => {
    await writeFile(file, 'a\n')
    const all = Array.from({ length: 5 }, () => tails.read(file, { lines: 1 }))
    await expect(all[0]?.next()).rejects.toMatchObject({ code: 'TOO_MANY_READERS', details: { limit: 4 } })
    expect(await lines(all[4] as Tail, 1)).toEqual(['a'])
    expect(tails.readers()).toBe(4)
  })
})
