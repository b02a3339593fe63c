import { readFileSync } from 'node:fs'
import { type Bot, createBot } from '#src/bot/bot.ts'
import type { LookUp } from '#src/bot/domain-check.ts'
import type { BotDeps } from '#src/bot/types.ts'
import { createFleet } from '#src/fleet/fleet.ts'
import type { ServerConnector } from '#src/contract/index.ts'
import type { Actor, Fleet, Server } from '#src/fleet/types.ts'
import { type Playground, startPlayground } from '#src/playground/playground.ts'
import type { User } from '#src/playground/user.ts'
import { type Runtime, randomId, systemRuntime } from '#src/runtime.ts'
import type { Db } from '#src/store/drizzle.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { type SimulatedNode, createSimulatedNode } from './simulated-node.ts'
import { createTempStore } from './temp-store.ts'

export const TOKEN = '4243:bot-house-token-that-must-not-leak'

/** A bot against a strict Telegram, with a real fleet over real SQLite; only the servers are simulated. */
export interface BotHouse {
  telegram: Playground
  alice: User
  bot: Bot
  fleet: Fleet
  /** Everything that was logged, as JSON. */
  log: string[]
  checked: number[]
  /** What a check that is asked for in the chat waits for. */
  checking: () => Promise<void>
  /** Where names lead; nobody says so unless told. */
  lookUp: LookUp
  db(): Db
  nodeOf(server: Server): SimulatedNode
  /** A server that has joined and answers; its inbound, if it is to have one. */
  join(name: string, inbound?: string): Promise<Server>
  /** The next calls of a method do not reach Telegram. */
  breakCalls(method: string, times: number): void
  /** The controller dies as by kill -9: from this moment nothing more is written or sent by it. */
  kill(): Promise<void>
  /** A new controller over the same database, as after a restart. */
  revive(): Promise<void>
  /** All bytes of the database and its log on disk. */
  bytesOnDisk(): Buffer
  end(): Promise<void>
}

const actor: Actor = { kind: 'system', id: 'test' }

export interface BotHouseOptions {
  owners?: number[]
  /** The clock of everybody: the bot, the fleet and Telegram. */
  runtime?: Runtime
  /** What is behind a server; without it a simulated node. */
  connect?: (server: Server) => ServerConnector | undefined
  /** What lies between the bot and Telegram: takes Telegram's address, and gives the one to call. */
  through?: (apiRoot: string) => Promise<string>
}

export async function openBotHouse(options: BotHouseOptions = {}): Promise<BotHouse> {
  const runtime = options.runtime ?? systemRuntime()
  const telegram = await startPlayground({ token: TOKEN, runtime })
  const apiRoot = (await options.through?.(telegram.apiRoot)) ?? telegram.apiRoot
  const alice = telegram.user({ id: 7, firstName: 'Alice', languageCode: 'en' })
  const store = createTempStore(runtime.now())
  const box = secretBoxFor(Buffer.alloc(32, 3))
  const nodes = new Map<number, SimulatedNode>()
  const log: string[] = []
  const checked: number[] = []
  const broken = { method: '', times: 0 }
  const write = (fields: object, message: string): void =>
    void log.push(
      JSON.stringify({ ...fields, message }, (_, value: unknown) =>
        value instanceof Error ? String(value.stack) : value,
      ),
    )
  const logger = { debug: write, info: write, warn: write, error: write }

  function nodeOf({ id }: Pick<Server, 'id'>): SimulatedNode {
    const node = nodes.get(id) ?? createSimulatedNode(`node-${id}`)
    nodes.set(id, node)
    return node
  }

  function openFleet(): Fleet {
    const fleet = createFleet({
      db: store.db(),
      box,
      runtime,
      log: logger,
      connect: (server) => options.connect?.(server) ?? nodeOf(server).connector,
      invite: (serverId) => {
        const token = randomId(runtime)
        return { command: `join ${serverId} ${token}`, token, expiresAt: runtime.now() + 900_000 }
      },
      revoke: () => undefined,
      localHost: '127.0.0.2',
    })
    fleet.start()
    return fleet
  }

  /** One controller's life: after `die` its bot reaches nobody any more. */
  function openBot(fleet: Fleet): { bot: Bot; die: () => void } {
    let dead = false
    const alive: typeof fetch = async (input, init) => {
      if (dead) return new Promise(() => undefined)
      const address = input instanceof Request ? input.url : input.toString()
      if (broken.times > 0 && address.endsWith(`/${broken.method}`)) {
        broken.times--
        throw new TypeError('the network is away')
      }
      const answer = await fetch(input, init)
      return dead ? new Promise(() => undefined) : answer
    }
    const deps: BotDeps = {
      token: TOKEN,
      apiRoot,
      owners: options.owners ?? [7],
      db: store.db(),
      box,
      fleet,
      runtime,
      log: logger,
      checkServer: (id) => {
        checked.push(id)
        return house.checking()
      },
      lookUp: (name) => house.lookUp(name),
      line: { fetch: alive, close: () => Promise.resolve() },
    }
    return { bot: createBot(deps), die: () => void (dead = true) }
  }

  let fleet = openFleet()
  let { bot, die } = openBot(fleet)
  await bot.start()

  const house: BotHouse = {
    telegram,
    alice,
    bot,
    fleet,
    log,
    checked,
    checking: () => Promise.resolve(),
    lookUp: () => Promise.resolve(undefined),
    db: () => store.db(),
    nodeOf,
    async join(name, inbound) {
      const { id } = house.fleet.servers.create({ name, publicAddress: `${name}.example` }, actor)
      house.fleet.noteJoined(id, `https://${name}.example:8443`)
      house.fleet.servers.report(id, { status: 'online', lastSeen: runtime.now(), xrayVersion: '26.1.1' })
      if (inbound !== undefined) {
        const stream = { transport: { type: 'raw' as const }, security: { type: 'none' as const } }
        const input = { tag: inbound, protocol: 'vless' as const, port: 8080, stream }
        const targets = [{ serverId: id, input }]
        await (
          await house.fleet.tasks.run({ operation: 'inbounds.add', targets, actor })
        ).settled
      }
      return house.fleet.servers.get(id)
    },
    breakCalls: (method, times) => void Object.assign(broken, { method, times }),
    async kill() {
      die()
      const ended = fleet.stop()
      void bot.stop()
      await ended
    },
    async revive() {
      store.reopen()
      fleet = openFleet()
      ;({ bot, die } = openBot(fleet))
      Object.assign(house, { fleet, bot })
      await bot.start()
    },
    bytesOnDisk: () => {
      const file = store.db().$client.name
      return Buffer.concat([file, `${file}-wal`].map((name) => readFileSync(name)))
    },
    async end() {
      await house.bot.stop()
      await house.fleet.stop()
      await telegram.stop()
      store.remove()
    },
  }
  return house
}
