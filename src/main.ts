/** The command line: parses arguments, calls a composition root, and turns signals into an orderly end. */
import { parseArgs } from 'node:util'
import { loadAgentConfig, loadConfig, unknownVariables } from './config.ts'
import { toFleetError } from './errors.ts'
import { type Log, type LogLevel, createLog, redact } from './log.ts'
import { productVersion, runsFromSource } from './version.ts'

const [start, agent] = runsFromSource
  ? ['npm start --', 'npm run agent --']
  : ['fleetgram start', 'fleetgram agent']
const uses = [
  [`${start} [--config FILE]`, 'run the controller (default: bot.config.json)'],
  [`${agent} [--config FILE]`, 'run the agent (default: agent.config.json)'],
  [`${agent} join TOKEN [--config FILE]`, 'join a fleet, then run the agent'],
  ...(runsFromSource ? [['npm run demo', 'see it all on this machine, without a Telegram account']] : []),
]
const usage = `fleetgram ${productVersion()}: a fleet of Xray servers in one Telegram chat

${uses.map(([line = '', what = '']) => `  ${line.padEnd(46)}${what}`).join('\n')}

Every value of a configuration file can also come from the environment: telegram.token is FLEETGRAM_TELEGRAM_TOKEN.
`

/**
 * Stops on SIGTERM and SIGINT, also while it is being started: Xray may run already, and is to end with us where that
 * was asked for. A second signal does not wait.
 */
async function untilSignal(starting: Promise<{ stop: () => Promise<void> }>, log: Log): Promise<void> {
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1)
      stopping = true
      log.info({ signal }, 'stopping')
      const stop = async (): Promise<void> => (await starting).stop()
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ error }, 'stopping failed')
          process.exit(1)
        },
      )
    })
  }
  await starting
}

function openLog(level: LogLevel): Log {
  const log = createLog(level)
  const variables = unknownVariables(process.env)
  if (variables.length > 0) log.warn({ variables }, 'no setting is called so; is it a slip of the pen?')
  return log
}

const options = {
  config: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** @throws TypeError with words for the one who typed it */
function readArguments(args: string[]): { command: string; config?: string | undefined; token?: string } {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
  const { config } = values
  if (values.version === true) return { command: 'version' }
  if (values.help === true) return { command: 'help' }
  const [command = '', verb, token, ...more] = positionals
  if (command === 'agent' && verb === 'join' && token !== undefined && more.length === 0) {
    return { command, config, token }
  }
  if (command === 'agent' && verb === 'join' && token === undefined)
    throw new TypeError('Which token? The chat gives the whole command.')
  if (!['start', 'agent', 'demo'].includes(command) || verb !== undefined)
    throw new TypeError(command === '' ? 'What is to be done?' : `Not known: ${positionals.join(' ')}`)
  return { command, config }
}

async function main(args: string[]): Promise<void> {
  let told
  try {
    told = readArguments(args)
  } catch (error) {
    process.stderr.write(redact(`${(error as TypeError).message}\n\n${usage}`))
    process.exitCode = 2
    return
  }
  const { command, config: file, token } = told
  switch (command) {
    case 'version':
      process.stdout.write(`${productVersion()}\n`)
      return
    case 'help':
      process.stdout.write(usage)
      return
    case 'start': {
      const { startController } = await import('./controller.ts')
      const config = loadConfig(file ?? 'bot.config.json', process.env)
      const log = openLog(config.log.level)
      return untilSignal(startController({ config, env: process.env, log }), log)
    }
    case 'agent': {
      const { startAgent, joinAgent } = await import('./agent.ts')
      const config = loadAgentConfig(file ?? 'agent.config.json', process.env)
      const log = openLog(config.log.level)
      if (token !== undefined) {
        const { serverId } = await joinAgent(config, token)
        log.info({ server: serverId }, 'this machine has joined')
      }
      return untilSignal(startAgent({ config, env: process.env, log }), log)
    }
    default: {
      const { runDemo } = await import('./demo.ts')
      return runDemo(process.env)
    }
  }
}

/** What is said of an error before the program ends: no stack, unless it is one nobody has thought of. */
function lastWords(error: unknown): string {
  const known = toFleetError(error, 'start')
  if (known.code !== 'INTERNAL' || !(error instanceof Error)) return known.message
  if (!('syscall' in error)) return error.stack ?? error.message
  // The system's own words name the file and what it refused.
  const isForbidden = 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
  const advice = `. Let the user that fleetgram runs as (id ${process.getuid?.() ?? '?'}) do that.`
  return isForbidden ? `${error.message}${advice}` : error.message
}

function end(error: unknown): never {
  process.stderr.write(`${redact(lastWords(error))}\n`)
  process.exit(1)
}

// Node would print it as it is, and the errors of an HTTP client hold tokens.
process.on('uncaughtException', end)
main(process.argv.slice(2)).catch(end)
