/**
 * How long a machine with many clients is away when it starts: from the rows in the database to an Xray that listens,
 * over `xray run` with the same configuration; and what the agent as it is shipped then holds in memory.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocalConnector } from '#src/connectors/local.ts'
import { xrayVersion } from '#src/xray/programs/program.ts'
import { type Benchmark, goal, interleaved, machine, type Report, summarize } from './measure.ts'
import { startBenchNode } from './node.ts'
import { addInbound, fill } from './people.ts'
import { memoryAtRest } from './shipped-agent.ts'

interface Settings {
  clients: number
  warmUp: number
  samples: number
  /** How long an agent is left alone before its memory is looked at, s. */
  rest: number
}

const full: Settings = { clients: 10_000, warmUp: 1, samples: 10, rest: 30 }
const short: Settings = { clients: 50, warmUp: 0, samples: 2, rest: 1 }

/** ms from the start of the node. */
const START_GOAL = 1_500
const MEMORY_GOAL_MB = 100
const BATCH = 1_000
const POLL_MS = 2
/** ms */
const LISTEN_LIMIT = 30_000

export const start: Benchmark = {
  about: 'start a node with 10,000 clients, over a bare xray run; the memory of a shipped agent',
  run: (binary, isShort) => measure(binary, isShort ? short : full),
}

async function measure(binary: string, settings: Settings): Promise<Report> {
  const it = await startBenchNode(binary)
  try {
    const server = createLocalConnector(it.node.operations)
    const { port } = await addInbound(server)
    await fill(server, { name: 'one', count: settings.clients, batch: BATCH })
    await it.end()
    // With a start the clients come into the file, which is then what the bare Xray gets too.
    await it.begin()
    const config = `${it.paths.config}.bare.json`
    await writeFile(config, await withoutAccessLog(it.paths.config))
    await it.end()
    const taken = await interleaved(
      {
        bare: () => startBare(binary, config, { ...it.paths, port }),
        node: async () => {
          await it.begin()
          await listens(port)
          return () => it.end()
        },
      },
      settings,
    )
    const memory = await memoryAtRest(binary, it, settings.rest)
    const figures = [summarize('xray run', taken.bare), summarize('node', taken.node)] as const
    const [, { p50 }] = figures
    return {
      benchmark: 'start',
      at: new Date().toISOString(),
      machine: machine(await xrayVersion(binary)),
      settings: { ...settings },
      figures: [...figures],
      base: 'xray run',
      memory: { ...memory },
      notes: [
        goal(`the node is up after ${p50.toFixed(0)} ms`, `at most ${START_GOAL} ms`, p50 <= START_GOAL),
        goal(
          `the agent holds ${memory.agent.toFixed(0)} MB`,
          `at most ${MEMORY_GOAL_MB} MB`,
          memory.agent <= MEMORY_GOAL_MB,
        ),
      ],
    }
  } finally {
    await it.stop()
  }
}

/** Its access log is a pipe that the node holds open: on its own, Xray would wait for a reader as it starts. */
async function withoutAccessLog(file: string): Promise<string> {
  const config = JSON.parse(await readFile(file, 'utf8')) as { log: object }
  return JSON.stringify({ ...config, log: { ...config.log, access: 'none' } })
}

/** Returns what ends it again. */
async function startBare(
  binary: string,
  config: string,
  at: { socket: string; port: number },
): Promise<() => Promise<void>> {
  // An Xray that was killed leaves it behind, and none can begin where it lies.
  await rm(at.socket, { force: true })
  const child = spawn(binary, ['run', '-c', config], { stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = once(child, 'exit')
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await Promise.race([
    listens(at.port),
    exited.then(() => {
      throw new Error(`the bare Xray ended: ${said}`)
    }),
  ])
  return async () => {
    child.kill('SIGTERM')
    await exited
  }
}

/** @throws after LISTEN_LIMIT: better than a measurement that never ends */
async function listens(port: number): Promise<void> {
  for (const begun = performance.now(); performance.now() - begun < LISTEN_LIMIT;) {
    const socket = connect({ host: '127.0.0.1', port })
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(POLL_MS)
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`nobody listens on port ${port}`)
}
