/** A fleet of three servers to which a list of steps happens: what people ask for, and what goes wrong meanwhile. */
import type { Health, OperationInput, OperationName } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID } from '#src/store/open.ts'
import type { TaskView } from '#src/fleet/types.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { emptyDatabaseFile } from './empty-database.ts'
import { createRequests } from './fault-requests.ts'
import type { Step } from './fault-steps.ts'
import { type FaultyNode, createFaultyNode } from './faulty-node.ts'
import { type FleetHouse, alice, openFleetHouse } from './fleet-house.ts'

export interface Asked {
  operation: OperationName
  inputs: Map<number, unknown>
}

export interface FaultWorld {
  house: FleetHouse
  /** By server id. */
  nodes: Map<number, FaultyNode>
  batches: Map<string, Asked>
  /** What whoever watches a batch was told last. */
  told: Map<string, TaskView[]>
  /** Every client's uuid and subscription id there ever was. */
  secrets: Set<string>
  /** What stands in the log as an error. */
  errors: string[]
  take(step: Step): Promise<void>
  /** Faults are over: everything comes back, and is given the time to catch up. */
  recover(): Promise<void>
  end(): Promise<void>
}

const NAMES = ['de', 'fi', 'us']
/** Far more sweeps than the longest back-off and every fault together can last. */
const SWEEPS = 60

export async function openFaultWorld(): Promise<FaultWorld> {
  const errors: string[] = []
  const onError = (details: object, text: string): void => {
    errors.push(
      `${text} ${JSON.stringify(details, (_key, value: unknown) => (value instanceof Error ? value.stack : value))}`,
    )
  }
  const nodes = new Map<number, FaultyNode>()
  const house = await openFleetHouse({
    // The controller's own machine is a simulated one: nothing befalls it.
    connect: ({ id }) => (id === LOCAL_SERVER_ID ? undefined : nodeOf(id).connector),
    database: emptyDatabaseFile(),
    hasty: true,
    onError,
  })
  const { runtime } = house
  const silent = (): void => undefined
  const log = { debug: silent, info: silent, warn: silent, error: onError }
  const box = secretBoxFor(Buffer.alloc(32, 9))
  const backups = new Map<number, Buffer>()
  const order: string[] = []
  const requests = createRequests(() => house.fleet, runtime)
  let watching: (() => void)[] = []

  function nodeOf(id: number): FaultyNode {
    const node = nodes.get(id)
    if (node === undefined) throw new Error(`there is no server ${id}`)
    return node
  }

  for (const name of NAMES) {
    const { id } = house.fleet.servers.create({ name, publicAddress: `${name}.example` }, alice)
    nodes.set(id, createFaultyNode({ box, runtime, log, name }))
    await nodeOf(id).start()
    house.fleet.noteJoined(id, `https://${name}.example:8443`)
    house.fleet.servers.report(id, { status: 'online', lastSeen: runtime.now() })
  }
  const ids = [...nodes.keys()].filter((id) => id !== LOCAL_SERVER_ID)
  const idOf = (index: number): number => ids[index] ?? 0
  const turns = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) await nextTurn()
  }

  async function run(id: string, { operation, inputs }: Asked): Promise<void> {
    const targets = [...inputs].map(([serverId, input]) => ({
      serverId,
      input: input as OperationInput<OperationName>,
    }))
    await house.fleet.tasks.run({ operation, targets, actor: alice, id })
  }

  function watch(batch: string): void {
    watching.push(house.fleet.tasks.watch(batch, (tasks) => void world.told.set(batch, tasks)))
  }

  function note(batch: string, asked: Asked): void {
    if (world.batches.has(batch)) return
    world.batches.set(batch, asked)
    order.push(batch)
    watch(batch)
  }

  /** As a sweep of health does. */
  async function sweep(id: number): Promise<void> {
    const { fleet } = house
    let health: Health
    try {
      health = await nodeOf(id).connector.server.health()
    } catch {
      fleet.servers.report(id, { status: 'offline', lastError: 'no answer' })
      return
    }
    fleet.servers.report(id, { status: 'online', lastSeen: runtime.now() })
    await fleet.noteHealth(id, health)
  }

  async function take(step: Step): Promise<void> {
    const { fleet } = house
    const batch = 'batch' in step ? order[step.batch % Math.max(1, order.length)] : undefined
    const asked = batch === undefined ? undefined : world.batches.get(batch)
    const id = 'server' in step ? idOf(step.server) : 0
    switch (step.do) {
      case 'ask': {
        const servers = step.servers.map(idOf)
        const request = {
          operation: step.what.ask,
          inputs: requests.inputsFor(step.what, servers, step.version),
        }
        const name = `batch ${order.length}`
        await run(name, request)
        return note(name, request)
      }
      case 'ask again':
        return batch === undefined || asked === undefined ? undefined : run(batch, asked)
      case 'try again': {
        if (batch === undefined || asked === undefined) return
        const made = await fleet.tasks.retryFailed(batch, alice)
        if (made.tasks.length > 0) note(made.id, asked)
        return
      }
      case 'network':
        nodeOf(id).offline = step.offline
        return
      case 'writes':
        nodeOf(id).faults.push(...step.faults)
        return
      case 'late':
        return nodeOf(id).deliverLate()
      case 'xray fails':
        return nodeOf(id).xray.failNext(step.code, step.times, step.after)
      case 'xray':
        return step.lives ? nodeOf(id).xray.revive() : nodeOf(id).xray.die()
      case 'process':
        return step.lives ? nodeOf(id).start() : nodeOf(id).kill()
      case 'backup':
        backups.set(id, nodeOf(id).backup())
        return
      case 'restore':
        nodeOf(id).kill()
        nodeOf(id).restore(step.empty ? undefined : backups.get(id))
        return nodeOf(id).start()
      case 'controller':
        watching = []
        await house.restart(step.how)
        for (const each of world.batches.keys()) {
          // Who takes a batch up again reads it first, as the chat does: much may have happened since the start.
          if (world.told.has(each)) world.told.set(each, house.fleet.tasks.batch(each))
          watch(each)
        }
        return
      case 'enabled':
        fleet.servers.setEnabled(id, step.enabled, alice)
        return
      case 'health':
        // Nobody waits for it: it may hang as long as the network does.
        void sweep(id)
        return turns(1)
      case 'traffic':
        return nodeOf(id).xray.carry(step.email, step.bytes, 2 * step.bytes)
      case 'wait':
        return runtime.advance(step.ms)
      case 'turns':
        return turns(step.count)
    }
  }

  const world: FaultWorld = {
    house,
    nodes,
    batches: new Map(),
    told: new Map(),
    secrets: requests.secrets,
    errors,
    take,

    async recover() {
      for (const [id, node] of nodes) {
        node.offline = false
        node.faults = []
        node.xray.heal()
        await node.start()
        node.xray.revive()
        await node.deliverLate()
        house.fleet.servers.setEnabled(id, true, alice)
      }
      for (let round = 0; round < SWEEPS; round++) {
        // One may have been about to die.
        for (const id of ids) await nodeOf(id).start()
        for (const id of ids) void sweep(id)
        await runtime.advance(30_000)
        if (ids.every((id) => house.fleet.tasks.open(id).length === 0)) break
      }
      // One more, for what the last change has moved.
      for (const id of ids) void sweep(id)
      await runtime.advance(30_000)
    },

    async end() {
      for (const stop of watching) stop()
      await house.end()
      for (const node of nodes.values()) node.end()
    },
  }
  return world
}
