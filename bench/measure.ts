/** How figures are taken, summed up and shown. */
import os from 'node:os'

/** All in ms. */
export interface Figures {
  name: string
  samples: number
  min: number
  p50: number
  p95: number
  p99: number
  max: number
  mean: number
  /** Name of the figures these are divided by, where it is not that of the whole report. */
  base?: string
}

export interface Machine {
  cpu: string
  cores: number
  memoryMb: number
  platform: string
  node: string
  xray: string
}

export interface Benchmark {
  /** One line for those who look for one. */
  about: string
  /** @param short few samples over little data */
  run(binary: string, short: boolean): Promise<Report>
}

/** What a benchmark leaves behind: printed as a table, or written as it stands. */
export interface Report {
  benchmark: string
  /** ISO 8601. */
  at: string
  machine: Machine
  /** What was asked for: sizes, counts. */
  settings: Record<string, number | string>
  figures: Figures[]
  /** Name of the figures every other is divided by, unless it names another. */
  base: string
  /** Memory held, in MB, by what holds it. */
  memory?: Record<string, number>
  /** Goals and how they stand, in words. Told, never enforced: another machine has other figures. */
  notes: string[]
}

/**
 * The smallest sample that at least `percent` of all samples do not exceed (nearest rank: always a sample that
 * really occurred). NaN without samples.
 */
export function percentile(sorted: readonly number[], percent: number): number {
  const rank = Math.ceil((percent / 100) * sorted.length)
  return sorted[Math.max(rank, 1) - 1] ?? Number.NaN
}

export function summarize(name: string, samples: readonly number[], base?: string): Figures {
  const sorted = samples.toSorted((a, b) => a - b)
  const sum = sorted.reduce((total, sample) => total + sample, 0)
  return {
    name,
    samples: sorted.length,
    min: percentile(sorted, 0),
    p50: percentile(sorted, 50),
    p95: percentile(sorted, 95),
    p99: percentile(sorted, 99),
    max: percentile(sorted, 100),
    mean: sum / sorted.length,
    ...(base === undefined ? {} : { base }),
  }
}

/** A goal and how it stands, as a note. */
export function goal(found: string, wanted: string, met: boolean): string {
  return `goal: ${found} (wanted: ${wanted}): ${met ? 'met' : 'missed'}`
}

/** The wall-clock time of one piece of work, ms. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - begun) / 1e6
}

/**
 * Measures several ways of doing the same in turns, so that whatever else the machine does strikes all alike. Each
 * turn begins with another of them: none is always the one that follows the slowest.
 * @param ways by name; each gets a number it never gets again, and may return what clears up after it, which takes no
 *   part in its time
 */
export async function interleaved<Name extends string>(
  ways: Record<Name, (sample: number) => Promise<unknown>>,
  counts: { warmUp: number; samples: number },
): Promise<Record<Name, number[]>> {
  const names = Object.keys(ways) as Name[]
  const taken = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>
  for (let turn = 0; turn < counts.warmUp + counts.samples; turn++) {
    for (let step = 0; step < names.length; step++) {
      const name = names[(turn + step) % names.length]
      if (name === undefined) continue
      let done: unknown
      const took = await timed(async () => {
        done = await ways[name](turn)
      })
      if (typeof done === 'function') await (done as () => Promise<void>)()
      if (turn >= counts.warmUp) taken[name].push(took)
    }
  }
  return taken
}

export function machine(xray: string): Machine {
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryMb: Math.round(os.totalmem() / 1024 / 1024),
    platform: `${os.platform()} ${os.arch()} ${os.release()}`,
    node: process.version,
    xray,
  }
}

/** A report for people. */
export function render(report: Report): string {
  const { machine: m, settings, figures, base, memory = {}, notes } = report
  const p50Of = (name: string): number => figures.find((row) => row.name === name)?.p50 ?? Number.NaN
  const ratio = (value: number): string => (Number.isNaN(value) ? '' : value.toFixed(2))
  const columns = ['ms', 'samples', 'p50', 'p95', 'p99', 'min', 'max', `p50 / ${base}`]
  const rows = figures.map((row) => [
    row.name,
    String(row.samples),
    ...[row.p50, row.p95, row.p99, row.min, row.max].map((value) => value.toFixed(2)),
    ratio(row.p50 / p50Of(row.base ?? base)),
  ])
  const lines = [columns, ...rows]
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const drawn = lines.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
  return [
    `${report.benchmark}: ${Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
    `${m.cpu}, ${m.cores} cores, ${m.memoryMb} MB, ${m.platform}, Node ${m.node}, Xray ${m.xray}`,
    '',
    ...drawn,
    '',
    ...Object.entries(memory).map(([holder, mb]) => `${holder}: ${mb.toFixed(0)} MB`),
    ...notes,
  ].join('\n')
}
