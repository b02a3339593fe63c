/**
 * The product as a test runs it to kill it: the same composition roots, and a fault that ends this process with SIGKILL
 * at the point it is told. Commands come as lines of JSON on standard input, answers leave as lines `@<n> <json>`.
 */
import { createReadStream, createWriteStream, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { joinAgent, startAgent } from '#src/agent.ts'
import { loadAgentConfig, loadConfig } from '#src/config.ts'
import { startController } from '#src/controller.ts'
import type { OperationName } from '#src/contract/index.ts'
import type { FaultPoint, Faults } from '#src/faults.ts'
import type { Fleet, Target } from '#src/fleet/types.ts'
import { createLog } from '#src/log.ts'

/** What a test may ask of a running program. */
export type FaultyCommand = { n: number } & (
  | { do: 'killAt'; point: FaultPoint; operation?: string }
  /** Puts a change into the fleet as the bot would, for changes that have no button. */
  | { do: 'run'; operation: OperationName; targets: Target<OperationName>[] }
  /** What the controller shows of a server. */
  | { do: 'look'; server: number }
  /** Makes a backup of a server, into this file. */
  | { do: 'backup'; server: number; file: string }
  /** Puts one back; under the same id it is the same request. */
  | { do: 'restore'; server: number; file: string; id: string }
)

const actor = { kind: 'system', id: 'test' } as const
const passphrase = 'correct horse'

/** ms. These points are the beginning of something that needs a moment to leave the process. */
const LEAVING_MS = 5
const leaving: readonly FaultPoint[] = ['sent', 'answered', 'update confirmed']

let wanted: { point: FaultPoint; operation?: string } | undefined

const faults: Faults = {
  async at(point, operation) {
    if (wanted?.point !== point || (operation !== undefined && wanted.operation !== operation)) return
    if (leaving.includes(point)) await new Promise((resolve) => setTimeout(resolve, LEAVING_MS))
    writeSync(1, `@killed ${point} ${operation ?? ''}\n`)
    process.kill(process.pid, 'SIGKILL')
  },
}

function listen(fleet?: Fleet): void {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const command = JSON.parse(line) as FaultyCommand
    void carryOut(command, fleet).then(
      (answer) => writeSync(1, `@${command.n} ${JSON.stringify(answer ?? null)}\n`),
      (error: unknown) => writeSync(1, `@${command.n} ${JSON.stringify({ error: String(error) })}\n`),
    )
  })
}

async function carryOut(command: FaultyCommand, fleet: Fleet | undefined): Promise<unknown> {
  if (command.do === 'killAt') {
    wanted = command
    return
  }
  if (fleet === undefined) throw new TypeError('an agent has no fleet')
  if (command.do === 'run') {
    const { operation, targets } = command
    return (await fleet.tasks.run({ operation, targets, actor })).id
  }
  if (command.do === 'backup') {
    const { stream } = await fleet.backups.create({ serverId: command.server, passphrase, actor })
    return pipeline(stream, createWriteStream(command.file))
  }
  if (command.do === 'restore') {
    const { server: serverId, id } = command
    return fleet.backups.restore({ serverId, passphrase, file: createReadStream(command.file), id, actor })
  }
  return {
    inbounds: fleet.view.inbounds(command.server),
    clients: fleet.view.clients(command.server, { page: 0, size: 10_000 }).items,
  }
}

const [role, verb, token] = process.argv.slice(2)
const { env } = process
if (role === 'start') {
  const config = loadConfig('bot.config.json', env)
  const controller = await startController({ config, env, log: createLog(config.log.level), faults })
  listen(controller.fleet)
} else {
  const config = loadAgentConfig('agent.config.json', env)
  if (verb === 'join' && token !== undefined) await joinAgent(config, token)
  await startAgent({ config, env, log: createLog(config.log.level), faults })
  listen()
}
