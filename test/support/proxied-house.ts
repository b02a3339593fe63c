/**
 * A real fleet and a real agent's door in this process, over real certificates and a real Xray, with a network between
 * the two that can be broken: here the one reply that matters can be met exactly.
 */
import { dirname, join } from 'node:path'
import type {
  MirroredClient,
  MirroredInbound,
  NodeEvent,
  OperationInput,
  OperationName,
} from '#src/contract/index.ts'
import { createConnectorFactory } from '#src/connectors/factory.ts'
import { createFleet } from '#src/fleet/fleet.ts'
import type { Actor, Fleet, TaskView } from '#src/fleet/types.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { connectXrayApi } from '#src/xray/api/api.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { hurriedRuntime } from './hurried-runtime.ts'
import { silentLog } from './silent-log.ts'
import { createSimulatedStreams } from './simulated-streams.ts'
import { createTempStore } from './temp-store.ts'
import { createTestFleetCa } from './test-fleet-ca.ts'
import { type TestNode, startTestNode } from './test-node.ts'
import { idOf } from './xray-server.ts'

/** How much faster the controller's clock runs: its timeouts and back-offs are the real ones, on a shorter day. */
const HASTE = 20

const actor: Actor = { kind: 'system', id: 'test' }

/** What stands somewhere, in one form for node, mirror and Xray: by tag and name, without what each counts alone. */
export interface Standing {
  inbounds: { tag: string; port: number; enabled: boolean; remark: string; rowVersion: number }[]
  clients: { email: string; uuid: string; enabled: boolean; comment: string; rowVersion: number }[]
}

export interface ProxiedHouse {
  fleet: Fleet
  node: TestNode
  proxy: FaultProxy
  /** The one server behind the proxy. */
  serverId: number
  run<N extends OperationName>(operation: N, input: OperationInput<N>): Promise<string>
  task(batch: string): TaskView
  /** Resolves with the task once it is over. */
  over(batch: string): Promise<TaskView>
  /** How often the node has committed an outcome under this key, and which. */
  outcomes(key: string): string[]
  /** Opens connections, so that the next request goes over one that stands. */
  warm(): Promise<void>
  onNode(): Promise<Standing>
  inMirror(): Standing
  /** The users of an inbound in the running Xray: name without the row's id, and credentials. */
  inXray(tag: string): Promise<{ email: string; uuid: string }[]>
  changeSeq(): Promise<number>
  end(): Promise<void>
}

export async function openProxiedHouse(): Promise<ProxiedHouse> {
  const runtime = hurriedRuntime(HASTE)
  const trust = await createTestFleetCa()
  const node = await startTestNode()
  const store = createTempStore(runtime.now())
  const silence = createSimulatedStreams<NodeEvent>()
  const connect = createConnectorFactory({
    operations: node.node.operations,
    secureContext: trust.secureContext,
    isAllowed: (hash, id) => trust.identities.isAllowed(hash, id),
    runtime,
    log: silentLog(),
  })
  const fleet = createFleet({
    db: store.db(),
    box: secretBoxFor(Buffer.alloc(32, 5)),
    runtime,
    log: silentLog(),
    connect(row) {
      const connection = connect(row)
      // Told nothing, so that the mirror does not fetch before the answer: the reply that is to be met is the change's.
      const events = async (_: unknown, options?: { signal?: AbortSignal | undefined }) =>
        silence.open(options?.signal)
      return { ...connection, sync: { changes: connection.sync.changes, events } }
    },
    invite: () => {
      throw new Error('nobody joins here')
    },
    revoke: () => undefined,
    localHost: '127.0.0.1',
  })
  const server = fleet.servers.create({ name: 'far', publicAddress: '127.0.0.1' }, actor)
  const agent = await trust.serve(await trust.certify(server.id), node.node.operations)
  const proxy = await startFaultProxy({ target: { host: '127.0.0.1', port: agent.port } })
  fleet.start()
  fleet.noteJoined(server.id, `https://127.0.0.1:${proxy.port}`)
  const dir = dirname(node.db.name)
  const api = connectXrayApi(join(dir, 'xray', 'api.sock'))

  const house: ProxiedHouse = {
    fleet,
    node,
    proxy,
    serverId: server.id,
    async run(operation, input) {
      const { id } = await fleet.tasks.run({ operation, targets: [{ serverId: server.id, input }], actor })
      return id
    },
    task(batch) {
      const [task] = fleet.tasks.batch(batch)
      if (task === undefined) throw new Error(`no task in ${batch}`)
      return task
    },
    async over(batch) {
      for (;;) {
        const task = house.task(batch)
        if (task.status !== 'pending' && task.status !== 'running') return task
        await sleep(10)
      }
    },
    outcomes: (key) =>
      node.db.prepare('select status from applied_tasks where key = ?').pluck().all(key) as string[],
    async warm() {
      await fleet.connectorFor(server.id).server.health()
    },
    async onNode() {
      const { inbounds, clients } = await node.node.operations['sync.changes'](
        { epoch: '', since: 0, trafficSince: 0 },
        {},
      )
      return standing(inbounds, clients)
    },
    inMirror: () =>
      standing(fleet.view.inbounds(server.id), fleet.view.clients(server.id, { page: 0, size: 100 }).items),
    async inXray(tag) {
      const users = await api.users(tag)
      return users.map((user) => ({ email: user.email.replace(/#\d+$/, ''), uuid: idOf(user) }))
    },
    async changeSeq() {
      return (await node.node.operations['server.health'](undefined, {})).changeSeq
    },
    async end() {
      await proxy.close()
      await fleet.stop()
      await trust.close()
      api.close()
      await node.stop()
      store.remove()
    },
  }
  return house
}

function standing(inbounds: Omit<MirroredInbound, 'linkSecrets'>[], clients: MirroredClient[]): Standing {
  return {
    inbounds: inbounds
      .map(({ tag, port, enabled, remark, rowVersion }) => ({ tag, port, enabled, remark, rowVersion }))
      .sort((a, b) => a.tag.localeCompare(b.tag)),
    clients: clients
      .map(({ email, uuid, enabled, comment, rowVersion }) => ({ email, uuid, enabled, comment, rowVersion }))
      .sort((a, b) => a.email.localeCompare(b.email)),
  }
}
