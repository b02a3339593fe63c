import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { interleaved, percentile, render, type Report, summarize, timed } from '../bench/measure.ts'

const run = promisify(execFile)
const main = join(import.meta.dirname, '../bench/main.ts')

describe('figures', () => {
  test('a percentile is the smallest sample that enough others do not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
    expect([50, 95, 99, 100].map((percent) => percentile(hundred, percent))).toEqual([50, 95, 99, 100])
    expect(percentile(hundred, 0)).toBe(1)
    expect(percentile([1, 2, 3], 50)).toBe(2)
    expect(percentile([1, 2, 3, 4], 50)).toBe(2)
    expect(percentile([7], 99)).toBe(7)
    expect(percentile([], 50)).toBeNaN()
  })

  test('samples are summed up by size, whatever their order', () => {
    expect(summarize('it', [30, 10, 20])).toEqual({
      name: 'it',
      samples: 3,
      min: 10,
      p50: 20,
      p95: 30,
      p99: 30,
      max: 30,
      mean: 20,
    })
  })

  test('the time of a piece of work is taken in milliseconds', async () => {
    const took = await timed(() => new Promise((resolve) => setTimeout(resolve, 25)))
    // A timer of Node may be early by a fraction of a millisecond.
    expect(took).toBeGreaterThan(20)
    await expect(timed(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  })

  test('ways take turns, each turn beginning with another, and the warm-up does not count', async () => {
    const order: string[] = []
    const way = (name: string) => async (sample: number) => {
      order.push(`${name}${sample}`)
    }
    const taken = await interleaved({ a: way('a'), b: way('b'), c: way('c') }, { warmUp: 1, samples: 2 })
    expect(order).toEqual(['a0', 'b0', 'c0', 'b1', 'c1', 'a1', 'c2', 'a2', 'b2'])
    expect(Object.values(taken).map((samples) => samples.length)).toEqual([2, 2, 2])
  })

  test('what a way returns clears up after it, before the next and outside of its time', async () => {
    const order: string[] = []
    const pause = () => new Promise((resolve) => setTimeout(resolve, 300))
    const way = (name: string) => async () => {
      order.push(name)
      return async () => {
        await pause()
        order.push(`after ${name}`)
      }
    }
    const taken = await interleaved({ a: way('a'), b: way('b') }, { warmUp: 0, samples: 1 })
    expect(order).toEqual(['a', 'after a', 'b', 'after b'])
    expect(Math.max(...taken.a, ...taken.b)).toBeLessThan(250)
  })

  test('the table stands in columns, with each median over that of the base or of its own base', () => {
    const report: Report = {
      benchmark: 'it',
      at: '2026-01-01T00:00:00.000Z',
      machine: { cpu: 'C', cores: 2, memoryMb: 10, platform: 'p', node: 'v24', xray: '1' },
      settings: { clients: 5 },
      figures: [
        summarize('base', [2]),
        summarize('the other', [5]),
        summarize('half', [1], 'the other'),
        summarize('apart', [1], 'none'),
      ],
      base: 'base',
      memory: { program: 12.4 },
      notes: ['a note'],
    }
    expect(render(report).split('\n')).toEqual([
      'it: clients 5',
      'C, 2 cores, 10 MB, p, Node v24, Xray 1',
      '',
      'ms         samples   p50   p95   p99   min   max  p50 / base',
      'base             1  2.00  2.00  2.00  2.00  2.00        1.00',
      'the other        1  5.00  5.00  5.00  5.00  5.00        2.50',
      'half             1  1.00  1.00  1.00  1.00  1.00        0.20',
      'apart            1  1.00  1.00  1.00  1.00  1.00            ',
      '',
      'program: 12 MB',
      'a note',
    ])
  })
})

describe('npm run bench', () => {
  test('without a name tells which there are; an unknown one is refused', async () => {
    expect((await run(process.execPath, [main])).stdout).toMatch(/add-client[^]*clients[^]*counters[^]*start/)
    await expect(run(process.execPath, [main, 'toString'])).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringContaining('no benchmark toString') as string,
    })
  })

  const figuresOf: Record<string, [name: string, samples: number][]> = {
    'add-client': [
      ['bare', 20],
      ['local', 20],
      ['remote', 20],
      ['local, 100 at once', 2],
    ],
    clients: [
      ['bare add, 20', 5],
      ['add, 20', 5],
      ['bare remove, 20', 5],
      ['remove, 20', 5],
      ['bare add, 60', 5],
      ['add, 60', 5],
      ['bare remove, 60', 5],
      ['remove, 60', 5],
      ['add 40 by one call', 1],
      ['remove 40 by one call', 1],
    ],
    counters: [
      ['QueryStats', 3],
      ['read and store, all grew', 3],
      ['store, all grew', 3],
      ['store, one in ten grew', 3],
      ['store, none grew', 3],
    ],
    start: [
      ['xray run', 2],
      ['node', 2],
    ],
  }

  test.each(Object.keys(figuresOf))(
    '%s measures all its ways on a real Xray',
    { timeout: 120_000 },
    async (name) => {
      const report = await bench(name)
      expect(report.machine).toMatchObject({
        node: process.version,
        xray: expect.stringMatching(/^\d+\.\d+/) as string,
      })
      expect(report.figures.map((row) => [row.name, row.samples])).toEqual(figuresOf[name])
      for (const { min, p50, p95, p99, max } of report.figures) {
        expect(min).toBeGreaterThan(0)
        expect([min, p50, p95, p99, max]).toEqual([min, p50, p95, p99, max].toSorted((a, b) => a - b))
      }
      expect(report.notes.filter((note) => note.startsWith('goal:')).join()).toMatch(/: (met|missed)$/)
      // Another Xray would have lost every connection.
      if (name === 'clients') expect(report.notes.at(-1)).toMatch(/process (\d+) and then as \1 .*: met$/)
      // Both users' directions, and the outbounds' and the API's own.
      if (name === 'counters') expect(report.settings['counters']).toBeGreaterThanOrEqual(2 * 50)
      if (name === 'start') {
        expect(report.memory).toEqual({
          agent: expect.any(Number) as number,
          xray: expect.any(Number) as number,
        })
        for (const mb of Object.values(report.memory ?? {})) expect(mb).toBeGreaterThan(10)
      }
    },
  )
})

/** Runs a short benchmark as a person would; what it printed must be what it wrote. */
async function bench(name: string): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  try {
    const file = join(folder, 'figures.json')
    const { stdout } = await run(process.execPath, [main, name, '--short', '--json', file])
    const report = JSON.parse(await readFile(file, 'utf8')) as Report
    expect(stdout.trimEnd()).toBe(render(report))
    return report
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
