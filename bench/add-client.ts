/**
 * What adding a client costs over the least it could cost: one call of Xray's API and one commit that survives a
 * power cut. All three ways run in turns on the same inbound of the same real Xray.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import { createConnectorFactory } from '#src/connectors/factory.ts'
import type { ServerConnector } from '#src/contract/index.ts'
import { systemRuntime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { connectXrayApi, type XrayApi } from '#src/xray/api.ts'
import { xrayVersion } from '#src/xray/program.ts'
import { xrayName } from '#src/xray/user-name.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { createTestFleetCa } from '#test/support/test-fleet-ca.ts'
import { interleaved, machine, type Report, summarize, timed } from './measure.ts'
import { startBenchNode } from './node.ts'

export interface AddClientSettings {
  /** How many stand in the inbound before anything is measured. */
  clients: number
  /** How many of them are added by one call. */
  batch: number
  warmUp: number
  samples: number
}

export const fullSettings: AddClientSettings = { clients: 10_000, batch: 1_000, warmUp: 100, samples: 400 }
export const shortSettings: AddClientSettings = { clients: 200, batch: 100, warmUp: 3, samples: 20 }

/** Beyond this the layers over Xray and SQLite would be felt. */
const LOCAL_GOAL = 2
/** ms; a thousand clients at once, the most a person would add by hand. */
const BATCH_GOAL = 2_000

const tag = 'bench'

const person = (email: string) => ({ email, uuid: randomUUID(), subscriptionId: randomUUID() })
const key = () => ({ context: { idempotencyKey: randomUUID() } })

export async function addClient(binary: string, settings: AddClientSettings): Promise<Report> {
  const it = await startBenchNode(binary)
  const trust = await createTestFleetCa()
  const api = connectXrayApi(it.socket)
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
    const inbound = await local.inbounds.add(
      {
        tag,
        protocol: 'vless',
        port: await freePort(),
        listen: '127.0.0.1',
        stream: {
          transport: { type: 'raw' },
          security: {
            type: 'reality',
            target: `127.0.0.1:${await freePort()}`,
            serverNames: ['localhost'],
            shortIds: ['0123456789abcdef'],
          },
        },
      },
      key(),
    )
    const bare = bareAdd(api, inbound.id, it.openSibling('bare.db'))
    bare.fill(settings.clients)
    const batches = await fill(local, settings)

    const add = (server: ServerConnector, name: string) => (sample: number) =>
      server.clients.add({ id: tag, clients: [person(`${name}-${sample}`)] }, key())
    const taken = await interleaved(
      { bare: bare.add, local: add(local, 'local'), remote: add(remote, 'remote') },
      settings,
    )

    const figures = [
      summarize('bare', taken.bare),
      summarize('local', taken.local),
      summarize('remote', taken.remote),
      summarize(`local, ${settings.batch} at once`, batches),
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

/** Fills the inbound, batch by batch. Returns how long each took, ms. */
async function fill(server: ServerConnector, { clients, batch }: AddClientSettings): Promise<number[]> {
  const took: number[] = []
  for (let from = 0; from < clients; from += batch) {
    const size = Math.min(batch, clients - from)
    const people = Array.from({ length: size }, (_, index) => person(`before-${from + index}`))
    const ms = await timed(() => server.clients.add({ id: tag, clients: people }, key()))
    // A smaller rest at the end is no sample of a whole batch.
    if (size === batch) took.push(ms)
  }
  return took
}

/** The bare thing, over a table of the same shape with as many rows, in a file of its own. */
function bareAdd(
  api: XrayApi,
  inboundId: number,
  db: Sqlite,
): { fill: (rows: number) => void; add: (sample: number) => Promise<void> } {
  const insert = db.prepare(
    `insert into clients (server_id, id, email, email_key, credentials, flow, enabled, comment, row_version,
       change_seq, created_at, updated_at)
     values (1, @id, @email, @email, @credentials, 'xtls-rprx-vision', 1, '', 1, @id, @now, @now)`,
  )
  let id = 0
  const write = (email: string, uuid: string): void => {
    id++
    insert.run({ id, email, credentials: JSON.stringify({ uuid, subscriptionId: uuid }), now: Date.now() })
  }
  return {
    fill: (rows) =>
      db.transaction(() => {
        for (let row = 0; row < rows; row++) write(`before-${row}`, randomUUID())
      })(),
    add: async (sample) => {
      const { email, uuid } = person(`bare-${sample}`)
      await api.addUser(tag, {
        email: xrayName(email, inboundId),
        account: { type: 'vless', id: uuid, flow: 'xtls-rprx-vision' },
      })
      write(email, uuid)
    },
  }
}

function goal(found: string, wanted: string, met: boolean): string {
  return `goal: ${found} (wanted: ${wanted}): ${met ? 'met' : 'missed'}`
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no port was given')
  return address.port
}
