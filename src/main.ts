/** The command line: parses arguments, calls a composition root, and turns signals into an orderly end. */
import { parseArgs } from 'node:util'
import { loadAgentConfig, loadConfig } from './config.ts'
import { toFleetError } from './errors.ts'
import { type Log, createLog, redact } from './log.ts'
import { productVersion } from './version.ts'

const usage = `fleetgram ${productVersion()}: a fleet of Xray servers in one Telegram chat

  npm start -- [--config FILE]                      run the controller (default: bot.config.json)
  npm run agent -- [--config FILE]                  run the agent      (default: agent.config.json)
  npm run agent -- join TOKEN [--config FILE]       join a fleet, then run the agent
  npm run demo                                      see it all on this machine, without a Telegram account

Every value of a configuration file can also come from the environment: telegram.token is FLEETGRAM_TELEGRAM_TOKEN.
`

/** Stops on SIGTERM and SIGINT; a second signal does not wait. */
function stopOnSignal(stop: () => Promise<void>, log: Log): void {
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1)
      stopping = true
      log.info({ signal }, 'stopping')
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ error }, 'stopping failed')
          process.exit(1)
        },
      )
    })
  }
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { config: { type: 'string' }, help: { type: 'boolean' }, version: { type: 'boolean' } },
  })
  const [command, ...rest] = positionals
  if (values.version === true) return void process.stdout.write(`${productVersion()}\n`)
  if (values.help === true) return void process.stdout.write(usage)
  switch (command) {
    case 'start': {
      const { startController } = await import('./controller.ts')
      const config = loadConfig(values.config ?? 'bot.config.json', process.env)
      const log = createLog(config.log.level)
      const controller = await startController({ config, env: process.env, log })
      return stopOnSignal(() => controller.stop(), log)
    }
    case 'agent': {
      const { startAgent, joinAgent } = await import('./agent.ts')
      const config = loadAgentConfig(values.config ?? 'agent.config.json', process.env)
      const log = createLog(config.log.level)
      const [verb, token, ...more] = rest
      if (
        (verb !== undefined && verb !== 'join') ||
        more.length > 0 ||
        (verb === 'join' && token === undefined)
      )
        break
      if (token !== undefined) await joinAgent(config, token)
      const agent = await startAgent({ config, env: process.env, log })
      return stopOnSignal(() => agent.stop(), log)
    }
    case 'demo': {
      const { runDemo } = await import('./demo.ts')
      return runDemo(process.env)
    }
    default:
  }
  process.stderr.write(usage)
  process.exitCode = 2
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const known = toFleetError(error, 'start')
  const words =
    known.code === 'INTERNAL' && error instanceof Error ? (error.stack ?? error.message) : known.message
  process.stderr.write(`${redact(words)}\n`)
  process.exit(1)
})
