/**
 * What adding and removing one client costs in inbounds of many sizes, each over the bare thing in the same inbound at
 * the same time; and thousands of clients at once. One Xray runs through all of it.
 */
import { createLocalConnector } from '#src/connectors/local.ts'
import type { ServerConnector } from '#src/contract/index.ts'
import { connectXrayApi } from '#src/xray/api/api.ts'
import { xrayVersion } from '#src/xray/programs/program.ts'
import { type Bare, bareClients } from './bare.ts'
import {
  type Benchmark,
  type Figures,
  goal,
  interleaved,
  machine,
  type Report,
  summarize,
  timed,
} from './measure.ts'
import { startBenchNode } from './node.ts'
import { addInbound, fill, key, person, tag } from './people.ts'

interface Settings {
  /** How many stand in the inbound, one after the other. */
  sizes: readonly number[]
  /** How many are added by one call and then removed again. */
  bulk: number
  warmUp: number
  samples: number
}

const full: Settings = {
  sizes: [100, 10_000, 50_000],
  bulk: 5_000,
  warmUp: 50,
  samples: 300,
}
const short: Settings = { sizes: [20, 60], bulk: 40, warmUp: 1, samples: 5 }

/** As for `add-client`. */
const GOAL = 2
const BATCH = 1_000
/** Of 5,000, without a restart. */
const BULK_GOAL_S = 10

export const clients: Benchmark = {
  about: 'add and remove a client where 100, 10,000 and 50,000 stand, and 5,000 at once',
  run: (binary, isShort) => measure(binary, isShort ? short : full),
}

async function measure(binary: string, settings: Settings): Promise<Report> {
  const it = await startBenchNode(binary)
  const api = connectXrayApi(it.paths.socket)
  try {
    const server = createLocalConnector(it.node.operations)
    const pid = await it.xrayPid()
    const inbound = await addInbound(server)
    const bare = bareClients(api, inbound.id, it.openSibling('bare.db'))
    const figures: Figures[] = []
    let present = 0
    for (const size of settings.sizes) {
      const count = size - present
      bare.fill(count)
      await fill(server, { name: `to-${size}`, count, batch: BATCH })
      figures.push(...(await addAndRemove(server, bare, size, settings)))
      present = size
    }
    const bulks = await bulk(server, settings.bulk)
    const after = await it.xrayPid()
    return {
      benchmark: 'clients',
      at: new Date().toISOString(),
      machine: machine(await xrayVersion(binary)),
      settings: { ...settings, sizes: settings.sizes.join(' ') },
      figures: [...figures, ...bulks],
      base: 'bare',
      notes: [
        'bare is one call by gRPC and one commit of one row, synchronous FULL, in the inbound of the same size.',
        ...figures.flatMap((row) => ratioGoal(row, figures)),
        ...bulks.map(bulkGoal),
        goal(`Xray ran as process ${pid} and then as ${after}`, 'the same all the time', pid === after),
      ],
    }
  } finally {
    api.close()
    await it.stop()
  }
}

async function addAndRemove(
  server: ServerConnector,
  bare: Bare,
  size: number,
  settings: Settings,
): Promise<Figures[]> {
  const name = (of: string, sample: number): string => `${of}-${size}-${sample}`
  const addLocal = (sample: number) =>
    server.clients.add({ id: tag, clients: [person(name('local', sample))] }, key())
  // Removed is always the one of the turn before: within a turn either may come first.
  await bare.add(name('bare', -1))
  await addLocal(-1)
  const taken = await interleaved(
    {
      bareAdd: (sample) => bare.add(name('bare', sample)),
      add: addLocal,
      bareRemove: (sample) => bare.remove(name('bare', sample - 1)),
      remove: (sample) => server.clients.delete({ email: name('local', sample - 1) }, key()),
    },
    settings,
  )
  return [
    summarize(`bare add, ${size}`, taken.bareAdd, `bare add, ${size}`),
    summarize(`add, ${size}`, taken.add, `bare add, ${size}`),
    summarize(`bare remove, ${size}`, taken.bareRemove, `bare remove, ${size}`),
    summarize(`remove, ${size}`, taken.remove, `bare remove, ${size}`),
  ]
}

/** Many by one call, and all of them removed by another. */
async function bulk(server: ServerConnector, count: number): Promise<Figures[]> {
  const { people, took } = await fill(server, { name: 'bulk', count, batch: count })
  const emails = people.map(({ email }) => email)
  const removed = await timed(() => server.clients.deleteMany({ emails }, key()))
  return [summarize(`add ${count} by one call`, took), summarize(`remove ${count} by one call`, [removed])]
}

const bulkGoal = ({ name, p50 }: Figures): string =>
  goal(`${name}: ${(p50 / 1_000).toFixed(1)} s`, `at most ${BULK_GOAL_S} s`, p50 <= BULK_GOAL_S * 1_000)

function ratioGoal({ name, p50, base }: Figures, figures: readonly Figures[]): string[] {
  if (base === undefined || base === name) return []
  const ratio = p50 / (figures.find((row) => row.name === base)?.p50 ?? Number.NaN)
  return [goal(`${name}: ${ratio.toFixed(2)} times bare at p50`, `at most ${GOAL}`, ratio <= GOAL)]
}
