/** Composition root of the agent: one server's node behind an HTTPS door that only its controller may pass. */
import { join, resolve } from 'node:path'
import type { AgentConfig } from './config.ts'
import { startAgentServer } from './connectors/agent-server.ts'
import { operationNames } from './contract/index.ts'
import { createEndings } from './endings.ts'
import { fail } from './errors.ts'
import type { Faults } from './faults.ts'
import type { Log } from './log.ts'
import { chooseXray } from './node/software/choose-xray.ts'
import { serveWithoutUs } from './node/engine/last-resort.ts'
import { createNode } from './node/node.ts'
import type { NodeOperations } from './node/operations.ts'
import { DAY_MS, type Runtime, systemRuntime } from './runtime.ts'
import { openDataFolder } from './store/data-folder.ts'
import { readMigrations } from './store/migrate.ts'
import { openStore } from './store/open.ts'
import { type Address, formatAddress } from './trust/address.ts'
import { type AgentIdentity, readIdentity } from './trust/agent-identity.ts'
import { loadKey, secretBoxFor } from './trust/secret-box.ts'
import { productFile, productVersion, xrayCacheDirs, xrayInstallDir } from './version.ts'
import { findXray } from './xray/programs/binary.ts'

/** Time enough to join the machine anew before its certificate ends. */
const WARN_BEFORE_MS = 30 * DAY_MS

export interface Agent {
  /** The id the controller knows it by. */
  serverId: number
  address: Address
  /** Xray keeps serving, unless it is to stop too, as told here or by the configuration. */
  stop(options?: { stopXray?: boolean | undefined }): Promise<void>
}

export interface AgentOptions {
  config: AgentConfig
  env: Record<string, string | undefined>
  log: Log
  runtime?: Runtime
  /** For tests alone. */
  faults?: Faults
}

/**
 * Starts the agent of a machine that has joined.
 * @throws FleetError NOT_JOINED, XRAY_NOT_FOUND, KEY_INVALID, DATABASE_TOO_NEW, DATABASE_BROKEN, DATA_UNWRITABLE,
 *   ADDRESS_TAKEN
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { config, env, log, runtime = systemRuntime() } = options
  // Xray is told these paths, and runs elsewhere.
  const data = resolve(config.data)
  try {
    return await begin(data, runtime, options)
  } catch (error) {
    const findProgram = (): Promise<string> => findXray({ env, cacheDir: xrayCacheDirs(data), log })
    await serveWithoutUs({ dir: xrayDirOf(data), runtime, log, findProgram })
    throw error
  }
}

const xrayDirOf = (data: string): string => join(data, 'xray')

async function begin(data: string, runtime: Runtime, options: AgentOptions): Promise<Agent> {
  const { config, env, log, faults } = options
  const identity = readIdentity(data)
  if (identity === undefined) fail('NOT_JOINED')
  openDataFolder(data)

  const key = loadKey({ env: env['FLEETGRAM_KEY'], file: join(data, 'fleetgram.key') })
  const version = productVersion()
  const endings = createEndings({ log, runtime })
  let stopXray = false
  try {
    const migrations = readMigrations(productFile('migrations'))
    const db = openStore({
      file: join(data, 'agent.db'),
      migrations,
      now: runtime.now(),
      onBackup: (copy) => log.info({ copy }, 'the database was copied before its migration'),
    })
    endings.add('database', () => db.close())
    const program = await chooseXray({
      db,
      env,
      installDir: xrayInstallDir(data),
      cacheDir: xrayCacheDirs(data),
      log,
    })
    const node = createNode({
      db,
      box: secretBoxFor(key),
      runtime,
      log,
      ...program,
      dir: xrayDirOf(data),
      version,
      migrations,
      publicAddress: config.publicAddress ?? identity.address,
      inboundListen: config.inboundListen,
      allowPrivateTargets: config.allowPrivateTargets,
      acme: config.acme,
      cut: config.limits.cut,
      faults,
    })

    const started = Promise.withResolvers<void>()
    // Nobody may be waiting when the start fails; it is told below.
    started.promise.catch(() => undefined)
    // The address is taken first: a second agent over the same folder then ends before it touches Xray.
    const listening = await startAgentServer({
      listen: config.listen,
      identity,
      operations: after(started.promise, node.operations),
      runtime,
      log,
      faults,
    })
    endings.add('node', () => node.stop({ stopXray }))
    endings.add('door', () => listening.close())
    try {
      await node.start()
      started.resolve()
    } catch (error) {
      started.reject(error)
      throw error
    }
    const address = { host: listening.host, port: listening.port }
    const warning = new AbortController()
    endings.add('warnings', () => warning.abort())
    // Ends by the abort alone.
    keepWarning(identity, runtime, log, warning.signal).catch(() => undefined)
    log.info({ version, server: identity.serverId, address: formatAddress(address) }, 'the agent is ready')
    return {
      serverId: identity.serverId,
      address,
      async stop(how = {}) {
        stopXray = how.stopXray ?? !config.keepXray
        await endings.endAll()
      },
    }
  } catch (error) {
    await endings.endAll()
    throw error
  }
}

/**
 * Joins the controller that a token comes from. The machine's key is made here and stays here. A machine that has
 * joined gets a new certificate as the server it is; what it holds stays as it was.
 * @throws FleetError as `joinController`, and DATA_UNWRITABLE
 */
export async function joinAgent(
  config: AgentConfig,
  token: string,
  options: { runtime?: Runtime } = {},
): Promise<Omit<AgentIdentity, 'keyPem'>> {
  // Before the token is spent.
  openDataFolder(config.data)
  const present = readIdentity(config.data)
  // Loaded here alone: an agent that has joined never needs what makes certificates.
  const { joinController } = await import('./trust/join-client.ts')
  return joinController({
    token,
    folder: config.data,
    port: config.listen.port,
    publicAddress: config.publicAddress,
    present,
    runtime: options.runtime ?? systemRuntime(),
  })
}

/** The same operations, each waiting until the node has found or started its Xray. */
function after(started: Promise<void>, operations: NodeOperations): NodeOperations {
  return Object.fromEntries(
    operationNames().map((name) => {
      const carryOut = operations[name] as (...call: unknown[]) => Promise<unknown>
      return [
        name,
        async (...call: unknown[]) => {
          await started
          return carryOut(...call)
        },
      ]
    }),
  ) as unknown as NodeOperations
}

/** Once a day, from 30 days before the end of the certificate on: an agent may run for longer than that. */
async function keepWarning(
  identity: AgentIdentity,
  runtime: Runtime,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const left = identity.notAfter - runtime.now()
    if (left <= WARN_BEFORE_MS) {
      const days = Math.max(0, Math.floor(left / DAY_MS))
      log.warn(
        { days },
        'the certificate of this agent ends soon; join again with a new command from the chat',
      )
    }
    await runtime.sleep(DAY_MS, signal)
  }
}
