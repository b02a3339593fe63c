/** `npm run bench -- <name> [--short] [--json FILE]`: real figures of this machine. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findXray } from '#src/xray/programs/binary.ts'
import { addClient } from './add-client.ts'
import { clients } from './clients.ts'
import { counters } from './counters.ts'
import { type Benchmark, render } from './measure.ts'
import { start } from './start.ts'

const benchmarks: Record<string, Benchmark> = { 'add-client': addClient, clients, counters, start }

const usage = [
  'npm run bench -- <name> [--short] [--json FILE]',
  '',
  ...Object.entries(benchmarks).map(([name, { about }]) => `  ${name.padEnd(14)}${about}`),
  '',
  '  --short       few samples over little data: shows that it runs, not how fast',
  '  --json FILE   writes the figures there too',
].join('\n')

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const [name] = values.help ? [] : positionals
const benchmark = name === undefined || !Object.hasOwn(benchmarks, name) ? undefined : benchmarks[name]

if (benchmark === undefined) {
  console.log(name === undefined ? usage : `There is no benchmark ${name}.\n\n${usage}`)
  process.exitCode = name === undefined ? 0 : 1
} else {
  const say = (_details: object, message: string): void => console.error(message)
  const binary = await findXray({
    env: process.env,
    cacheDir: join(import.meta.dirname, '../.cache'),
    log: { debug: () => undefined, info: say, warn: say, error: say },
  })
  const report = await benchmark.run(binary, values.short)
  console.log(render(report))
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`)
}
