/**
 * What adding a client costs over the least it could cost: one call of Xray's API and one commit that survives a
 * power cut. All three ways run in turns on the same inbound of the same real Xray.
 */
import { createConnectorFactory } from '#src/connectors/factory.ts'
import type { ServerConnector } from '#src/contract/index.ts'
import { systemRuntime } from '#src/runtime.ts'
import { connectXrayApi } from '#src/xray/api/api.ts'
import { xrayVersion } from '#src/xray/programs/program.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { createTestFleetCa } from '#test/support/test-fleet-ca.ts'
import { bareClients } from './bare.ts'
import { type Benchmark, goal, interleaved, machine, type Report, summarize } from './measure.ts'
import { startBenchNode } from './node.ts'
import { addInbound, fill, key, person, tag } from './people.ts'

interface Settings {
  /** How many stand in the inbound before anything is measured. */
  clients: number
  /** How many of them are added by one call. */
  batch: number
  warmUp: number
  samples: number
}

const full: Settings = { clients: 10_000, batch: 1_000, warmUp: 100, samples: 400 }
const short: Settings = { clients: 200, batch: 100, warmUp: 3, samples: 20 }

/** Beyond this the layers over Xray and SQLite would be felt. */
const LOCAL_GOAL = 2
/** ms; a thousand clients at once, the most a person would add by hand. */
const BATCH_GOAL = 2_000

export const addClient: Benchmark = {
  about: 'add a client to an inbound that has 10,000: bare, local, remote',
  run: (binary, isShort) => measure(binary, isShort ? short : full),
}

async function measure(binary: string, settings: Settings): Promise<Report> {
  const it = await startBenchNode(binary)
  const trust = await createTestFleetCa()
  const api = connectXrayApi(it.paths.socket)
  const agent = await trust.serve(await trust.certify(2), it.node.operations)
  const connect = createConnectorFactory({
    operations: it.node.operations,
    secureContext: trust.secureContext,
    isAllowed: (hash, id) => trust.identities.isAllowed(hash, id),
    runtime: systemRuntime(),
    log: silentLog(),
  })
  const local = connect({ id: 1, kind: 'local', endpoint: null })
  const remote = connect({ id: 2, kind: 'agent', endpoint: `https://127.0.0.1:${agent.port}` })
  try {
    const inbound = await addInbound(local)
    const bare = bareClients(api, inbound.id, it.openSibling('bare.db'))
    bare.fill(settings.clients)
    const { took } = await fill(local, { name: 'before', count: settings.clients, batch: settings.batch })

    const add = (server: ServerConnector, name: string) => (sample: number) =>
      server.clients.add({ id: tag, clients: [person(`${name}-${sample}`)] }, key())
    const taken = await interleaved(
      {
        bare: (sample) => bare.add(`bare-${sample}`),
        local: add(local, 'local'),
        remote: add(remote, 'remote'),
      },
      settings,
    )

    const figures = [
      summarize('bare', taken.bare),
      summarize('local', taken.local),
      summarize('remote', taken.remote),
      summarize(`local, ${settings.batch} at once`, took),
    ] as const
    const [bareFigures, localFigures, , batchFigures] = figures
    const ratio = localFigures.p50 / bareFigures.p50
    return {
      benchmark: 'add-client',
      at: new Date().toISOString(),
      machine: machine(await xrayVersion(binary)),
      settings: { ...settings },
      figures: [...figures],
      base: 'bare',
      notes: [
        'bare is one AddUser by gRPC and one commit of one row, synchronous FULL.',
        goal(`local is ${ratio.toFixed(2)} times bare at p50`, `at most ${LOCAL_GOAL}`, ratio <= LOCAL_GOAL),
        goal(
          `${settings.batch} at once take ${batchFigures.p50.toFixed(0)} ms at p50`,
          `at most ${BATCH_GOAL} ms for 1000`,
          batchFigures.p50 <= (BATCH_GOAL * settings.batch) / 1000,
        ),
      ],
    }
  } finally {
    await remote.close()
    await trust.close()
    api.close()
    await it.stop()
  }
}
