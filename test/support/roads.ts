import { type Connection, createConnectorFactory } from '#src/connectors/factory.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { type Runtime, systemRuntime } from '#src/runtime.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { silentLog } from './silent-log.ts'
import type { TestFleetCa } from './test-fleet-ca.ts'

/** The two roads to a node, in this order, for tests of either. */
export const kinds = ['local', 'remote'] as const

/** One node behind both roads: directly, and through an agent's HTTPS door with the real certificates. */
export interface Roads {
  local: Connection
  remote: Connection
  /** Ends the agent's door, and opens another at the same address, over these operations. */
  reopen(operations: NodeOperations): Promise<void>
  /** Ends the agent's door alone. */
  shut(): Promise<void>
  close(): Promise<void>
}

interface RoadOptions {
  runtime?: Runtime
  streamSilenceMs?: number
}

export async function openRoads(
  trust: TestFleetCa,
  operations: NodeOperations,
  options: RoadOptions = {},
): Promise<Roads> {
  const { proxy: _, ...roads } = await openProxiedRoads(trust, operations, options)
  return roads
}

/** The same, with a network before the agent that a test can break. */
export async function openProxiedRoads(
  trust: TestFleetCa,
  operations: NodeOperations,
  options: RoadOptions = {},
): Promise<Roads & { proxy: FaultProxy }> {
  const identity = await trust.certify(2)
  let agent = await trust.serve(identity, operations)
  const target = { host: '127.0.0.1', port: agent.port }
  const proxy = await startFaultProxy({ target })
  const connect = createConnectorFactory({
    operations,
    secureContext: trust.secureContext,
    isAllowed: (hash, id) => trust.identities.isAllowed(hash, id),
    runtime: options.runtime ?? systemRuntime(),
    log: silentLog(),
    ...(options.streamSilenceMs === undefined ? {} : { streamSilenceMs: options.streamSilenceMs }),
  })
  const local = connect({ id: 1, kind: 'local', endpoint: null })
  const remote = connect({ id: 2, kind: 'agent', endpoint: `https://127.0.0.1:${proxy.port}` })
  return {
    local,
    remote,
    proxy,
    async reopen(next) {
      await agent.close()
      agent = await trust.serve(identity, next)
      target.port = agent.port
    },
    shut: () => agent.close(),
    close: async () => {
      await remote.close()
      await proxy.close()
      await agent.close()
    },
  }
}
