/**
 * What it costs to keep count of traffic: reading all of Xray's counters, which must be done anyway, and storing what
 * is new in them.
 */
import { randomUUID } from 'node:crypto'
import { createLocalConnector } from '#src/connectors/local.ts'
import { createAccounting } from '#src/node/accounting.ts'
import { createPosition } from '#src/node/rows/position.ts'
import { connectXrayApi } from '#src/xray/api/api.ts'
import { xrayVersion } from '#src/xray/programs/program.ts'
import { type Benchmark, goal, machine, type Report, summarize, timed } from './measure.ts'
import { startBenchNode } from './node.ts'
import { addInbound, fill } from './people.ts'
import { sendTraffic } from './vless.ts'

interface Settings {
  /** All of them have had traffic. */
  clients: number
  warmUp: number
  samples: number
}

const full: Settings = { clients: 10_000, warmUp: 3, samples: 30 }
const short: Settings = { clients: 50, warmUp: 1, samples: 3 }

/** ms in which nothing else is done: a hundredth of the time between two readings. */
const GOAL = 100
const BATCH = 1_000
/** Longer than this runs: the node's own readings would be measured along. */
const NEVER_MS = 24 * 60 * 60 * 1000
/** Of how many counters one has grown since the reading before; Infinity: none has. */
const every = { all: 1, tenth: 10, none: Infinity }
type Growth = keyof typeof every

export const counters: Benchmark = {
  about: 'read and store the traffic of 10,000 clients, over a bare QueryStats',
  run: (binary, isShort) => measure(binary, isShort ? short : full),
}

async function measure(binary: string, settings: Settings): Promise<Report> {
  const it = await startBenchNode(binary, { allowPrivateTargets: true, accountingIntervalMs: NEVER_MS })
  const api = connectXrayApi(it.paths.socket)
  try {
    const server = createLocalConnector(it.node.operations)
    const inbound = await addInbound(server, 'plain')
    const { people } = await fill(server, { name: 'one', count: settings.clients, batch: BATCH })
    const uuids = people.map(({ uuid }) => uuid)
    await sendTraffic(inbound.port, uuids)

    const position = createPosition(it.db, randomUUID)
    const accounting = createAccounting({ db: it.db, position, now: Date.now })
    const grown = new Map<string, number>()
    const read: number[] = []
    const store: Record<Growth, number[]> = { all: [], tenth: [], none: [] }
    let size = 0
    for (let turn = 0; turn < settings.warmUp + settings.samples; turn++) {
      let reading = new Map<string, number>()
      const readTook = await timed(async () => {
        reading = await api.counters()
      })
      size = reading.size
      const storeTook = { all: 0, tenth: 0, none: 0 }
      for (const growth of Object.keys(every) as Growth[]) {
        const more = withGrowth(reading, grown, every[growth])
        storeTook[growth] = await timed(async () => accounting.record('the benchmark', more))
      }
      if (turn < settings.warmUp) continue
      read.push(readTook)
      for (const growth of Object.keys(every) as Growth[]) store[growth].push(storeTook[growth])
    }
    const both = read.map((ms, turn) => ms + (store.all[turn] ?? Number.NaN))
    const storeAll = summarize('store, all grew', store.all)
    return {
      benchmark: 'counters',
      at: new Date().toISOString(),
      machine: machine(await xrayVersion(binary)),
      settings: { ...settings, counters: size },
      figures: [
        summarize('QueryStats', read),
        summarize('read and store, all grew', both),
        storeAll,
        summarize('store, one in ten grew', store.tenth),
        summarize('store, none grew', store.none),
      ],
      base: 'QueryStats',
      notes: [
        'Every client has had real traffic; further growth is added to what Xray says, outside of the time taken.',
        goal(
          `storing it all takes ${storeAll.p50.toFixed(0)} ms`,
          `at most ${GOAL} ms`,
          storeAll.p50 <= GOAL,
        ),
      ],
    }
  } finally {
    api.close()
    await it.stop()
  }
}

/** A reading as it would be after more traffic on every `nth` counter; what was added before stays. */
function withGrowth(
  reading: ReadonlyMap<string, number>,
  grown: Map<string, number>,
  nth: number,
): Map<string, number> {
  let index = 0
  for (const name of reading.keys()) {
    if (index++ % nth === 0 && nth !== Infinity) grown.set(name, (grown.get(name) ?? 0) + 1_000)
  }
  return new Map([...reading].map(([name, value]) => [name, value + (grown.get(name) ?? 0)]))
}
