import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerConnector } from '#src/contract/index.ts'
import { type FleetDeps, createFleet } from '#src/fleet/fleet.ts'
import type { Actor, Fleet, RefusedChange, Server } from '#src/fleet/types.ts'
import { randomId, systemRuntime } from '#src/runtime.ts'
import { type Db, drizzleOver } from '#src/store/drizzle.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore } from '#src/store/open.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { type FakeRuntime, createFakeRuntime } from './fake-runtime.ts'
import { type SimulatedNode, createSimulatedNode } from './simulated-node.ts'

export const alice: Actor = { kind: 'telegram', id: '7', chat: '7' }

const START = Date.UTC(2030, 0, 1)

/** A controller's fleet over a real file, with simulated servers: it can be stopped, or killed, and opened again. */
export interface FleetHouse {
  fleet: Fleet
  db: Db
  runtime: FakeRuntime
  /** Ids for which `revoke` was called. */
  revoked: number[]
  /** Ids whose connection was closed. */
  closed: number[]
  nodes: Map<number, SimulatedNode>
  nodeOf(server: Server | number): SimulatedNode
  /** A server that has joined and answers, with an inbound `main`. */
  join(name: string): Promise<Server>
  /** Another process over the same file: the present one ends in good order, or as by kill -9. */
  restart(how: 'stop' | 'kill'): Promise<void>
  /** All bytes of the database and its log on disk. */
  bytesOnDisk(): Buffer
  end(): Promise<void>
}

export interface HouseOptions {
  /** What is behind a server; without it a simulated node. */
  connect?: (server: Server) => ServerConnector | undefined
  /** The database to begin with, as a file's bytes; without it an empty one. */
  database?: Buffer
  /** Nothing waits for the disk: for tests in which processes are killed, but never the machine. */
  hasty?: boolean
  /** Told of changes that will not be made, with the database of the process that lives. */
  refused?: (db: Db, change: RefusedChange) => void
  /** Told of errors in the log; without it they are printed. */
  onError?: (details: object, text: string) => void
}

export async function openFleetHouse(options: HouseOptions = {}): Promise<FleetHouse> {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-'))
  const file = join(folder, 'fleet.db')
  if (options.database !== undefined) writeFileSync(file, options.database)
  const migrations = readMigrations(join(import.meta.dirname, '../../migrations'))
  const clock = createFakeRuntime({ now: START })
  const real = systemRuntime()
  // Real randomness: the credentials of two runs of one process must not meet.
  const runtime: FakeRuntime = {
    ...clock,
    uuid: () => real.uuid(),
    randomBytes: (size) => real.randomBytes(size),
  }
  const box = secretBoxFor(Buffer.alloc(32, 7))
  const nodes = new Map<number, SimulatedNode>()
  const abandoned: Fleet[] = []

  function connect(server: Server): ReturnType<FleetDeps['connect']> {
    const connector = options.connect?.(server) ?? house.nodeOf(server).connector
    return { ...connector, close: () => void house.closed.push(server.id) }
  }

  function open(): { db: Db; fleet: Fleet; die(): void } {
    const db = drizzleOver(openStore({ file, migrations, now: clock.now() }))
    if (options.hasty === true) db.$client.pragma('synchronous = OFF')
    const silent = (): void => undefined
    const onError = options.onError ?? ((details: object, text: string) => console.error(text, details))
    let dead = false
    const fleet = createFleet({
      db,
      box,
      // A dead process hears no timer; what is left of it in memory can still be told to end.
      runtime: {
        ...runtime,
        sleep: async (ms, signal) => {
          await runtime.sleep(ms, signal)
          if (dead) await runtime.sleep(Infinity, signal)
        },
      },
      log: {
        debug: silent,
        info: silent,
        warn: silent,
        error: (details, text) => void (dead || onError(details, text)),
      },
      connect,
      invite: (serverId) => {
        const token = randomId(real)
        return { command: `join ${serverId} ${token}`, token, expiresAt: clock.now() + 900_000 }
      },
      revoke: (serverId) => void house.revoked.push(serverId),
      refused: (change) => options.refused?.(db, change),
      localHost: '127.0.0.2',
    })
    fleet.start()
    const die = (): void => {
      dead = true
    }
    return { db, fleet, die }
  }

  const house: FleetHouse & { die(): void } = {
    ...open(),
    runtime,
    revoked: [],
    closed: [],
    nodes,
    nodeOf(server) {
      const id = typeof server === 'number' ? server : server.id
      const node = nodes.get(id) ?? createSimulatedNode(`node-${id}`)
      nodes.set(id, node)
      return node
    },
    async join(name) {
      const { id } = house.fleet.servers.create({ name, publicAddress: `${name}.example` }, alice)
      house.fleet.noteJoined(id, `https://${name}.example:8443`)
      house.fleet.servers.report(id, { status: 'online', lastSeen: clock.now() })
      const { settled } = await house.fleet.tasks.run({
        operation: 'inbounds.add',
        targets: [
          {
            serverId: id,
            input: {
              tag: 'main',
              protocol: 'vless',
              port: 443,
              stream: { transport: { type: 'raw' }, security: { type: 'none' } },
            },
          },
        ],
        actor: alice,
      })
      await settled
      return house.fleet.servers.get(id)
    },
    async restart(how) {
      if (how === 'stop') await house.fleet.stop()
      else {
        house.die()
        abandoned.push(house.fleet)
      }
      // A killed process writes nothing more: its connection to the file is gone.
      house.db.$client.close()
      Object.assign(house, open())
    },
    bytesOnDisk: () => Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name)))),
    async end() {
      await house.fleet.stop()
      house.db.$client.close()
      // What is left of killed processes only has timers to end; their files are closed.
      await Promise.allSettled(abandoned.map((fleet) => fleet.stop()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return house
}
