/** The composition root of the controller: builds every part from a Config, and ends them in the order they need. */
import os from 'node:os'
import { type Bot, createBot } from './bot/bot.ts'
import { type Config, controllerPaths } from './config.ts'
import { createConnectorFactory } from './connectors/factory.ts'
import { createEndings } from './endings.ts'
import type { Faults } from './faults.ts'
import { createFleet } from './fleet/fleet.ts'
import type { Fleet } from './fleet/types.ts'
import { createHealthMonitor } from './health/monitor.ts'
import type { Log } from './log.ts'
import { chooseXray } from './node/software/choose-xray.ts'
import { serveWithoutUs } from './node/engine/last-resort.ts'
import { createNode } from './node/node.ts'
import { createRefusals } from './notify/refused.ts'
import { createSender } from './notify/sender.ts'
import { type Runtime, systemRuntime } from './runtime.ts'
import { openDataFolder } from './store/data-folder.ts'
import { drizzleOver } from './store/drizzle.ts'
import { readMigrations } from './store/migrate.ts'
import { openStore } from './store/open.ts'
import { type Address, formatAddress } from './trust/address.ts'
import { loadOrCreateCa } from './trust/ca.ts'
import { createControllerTls } from './trust/controller-tls.ts'
import { createIdentities } from './trust/identities.ts'
import { createJoinToken } from './trust/join-tokens.ts'
import { loadKey, secretBoxFor } from './trust/secret-box.ts'
import { productFile, productVersion, xrayCacheDirs, xrayInstallDir } from './version.ts'
import { startGateway } from './web/gateway.ts'
import { startWeb } from './web/server.ts'
import { findXray } from './xray/programs/binary.ts'

export interface Controller {
  fleet: Fleet
  /** Where the status page answers. */
  webUrl: string
  /** Where agents join. */
  gateway: Address
  botUsername: string
  /** Ends everything of this process. Xray goes on, unless it is to stop too, as told here or by the configuration. */
  stop(options?: { stopXray?: boolean }): Promise<void>
}

export interface ControllerOptions {
  config: Config
  env: Record<string, string | undefined>
  log: Log
  runtime?: Runtime
  /** For tests alone. */
  faults?: Faults
}

/** @throws FleetError with what is wrong and what to do: a taken port, a wrong bot token, a newer database. */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { config, env, log, runtime = systemRuntime() } = options
  try {
    return await begin(runtime, options)
  } catch (error) {
    const { dataDir, xrayDir } = controllerPaths(config)
    const findProgram = (): Promise<string> => findXray({ env, cacheDir: xrayCacheDirs(dataDir), log })
    await serveWithoutUs({ dir: xrayDir, runtime, log, findProgram })
    throw error
  }
}

async function begin(runtime: Runtime, options: ControllerOptions): Promise<Controller> {
  const { config, env, log, faults } = options
  const endings = createEndings({ log, runtime })
  let stopXray = false

  try {
    const paths = controllerPaths(config)
    openDataFolder(paths.dataDir)
    const box = secretBoxFor(loadKey({ env: env['FLEETGRAM_KEY'], file: paths.keyFile }))
    const migrations = readMigrations(productFile('migrations'))
    const sqlite = openStore({
      file: config.database,
      migrations,
      now: runtime.now(),
      onBackup: (copy) => log.info({ copy }, 'the database was copied before its migration'),
    })
    endings.add('database', () => sqlite.close())
    const db = drizzleOver(sqlite)
    const version = productVersion()

    const localHost = config.local.publicAddress ?? outwardAddress()
    const program = await chooseXray({
      db: sqlite,
      env,
      installDir: xrayInstallDir(paths.dataDir),
      cacheDir: xrayCacheDirs(paths.dataDir),
      log,
    })
    const node = createNode({
      db: sqlite,
      box,
      runtime,
      log,
      ...program,
      dir: paths.xrayDir,
      version,
      migrations,
      publicAddress: localHost,
      inboundListen: config.local.inboundListen,
      allowPrivateTargets: config.local.allowPrivateTargets,
      acme: config.acme,
      cut: config.limits.cut,
      faults,
    })

    const ca = await loadOrCreateCa({ db: sqlite, box, runtime })
    const identities = createIdentities({ db: sqlite, runtime })
    const hosts = [config.gateway.publicAddress?.host ?? localHost, localHost]
    const onTlsError = (error: unknown): void => log.error({ error }, 'the own certificate was not renewed')
    const tls = await createControllerTls({ ca, hosts, runtime, onError: onTlsError })
    endings.add('certificate', () => tls.close())

    const fleet = createFleet({
      db,
      box,
      runtime,
      log,
      connect: createConnectorFactory({
        operations: node.operations,
        secureContext: () => tls.secureContext(),
        isAllowed: (hash, serverId) => identities.isAllowed(hash, serverId),
        runtime,
        log,
      }),
      invite(serverId) {
        const controllerAddress = gatewayAddress(config, gateway.address, localHost)
        const made = createJoinToken({ db: sqlite, runtime, ca, controllerAddress, serverId })
        return { ...made, command: `${config.gateway.joinCommand} '${made.token}'` }
      },
      revoke: (serverId) => identities.revoke(serverId),
      localHost,
      refused: createRefusals({
        db,
        runtime,
        log,
        mayHear: (user) => config.telegram.owners.map(String).includes(user),
        wake: () => sender.wake(),
      }),
      faults,
    })
    const gateway = await startGateway({
      listen: config.gateway.listen,
      ca,
      tls,
      identities,
      db: sqlite,
      runtime,
      log,
      onJoined: (serverId, { endpoint }) => fleet.noteJoined(serverId, endpoint),
    })
    endings.add('gateway', () => gateway.close())

    const sender = createSender({
      db,
      runtime,
      log,
      deliver: (message, signal) => bot.deliver(message, signal),
      faults,
    })
    const monitor = createHealthMonitor({
      db,
      fleet,
      runtime,
      log,
      intervalMs: config.health.intervalSeconds * 1000,
      policy: { startupGraceMs: config.health.startupGraceSeconds * 1000 },
      chats: () => config.telegram.owners.map(String),
      wake: () => sender.wake(),
    })
    const bot: Bot = createBot({
      ...config.telegram,
      db,
      box,
      fleet,
      runtime,
      log,
      checkServer: (serverId) => monitor.check(serverId),
      faults,
    })

    const web = await startWeb({
      listen: formatAddress(config.web.listen),
      fleet,
      runtime,
      version,
      log,
      health: () => ({ ok: monitor.isAwake(), judgedAt: monitor.lastSweepEndedAt() }),
    })
    endings.add('web', () => web.close())

    // Only now that the addresses are ours: a second controller over the same folder ends before it touches Xray.
    endings.add('node', () => node.stop({ stopXray }))
    await node.start()
    endings.add('fleet', () => fleet.stop())
    fleet.start()
    endings.add('monitor', () => monitor.stop())
    monitor.start()
    endings.add('sender', () => sender.stop())
    sender.start()
    endings.add('bot', () => bot.stop())
    await bot.start()
    log.info(
      { version, web: web.url, gateway: formatAddress(gateway.address), bot: bot.username },
      'fleetgram is ready',
    )

    return {
      fleet,
      webUrl: web.url,
      gateway: gateway.address,
      botUsername: bot.username,
      stop: async (how = {}) => {
        stopXray = how.stopXray ?? !config.local.keepXray
        await endings.endAll()
      },
    }
  } catch (error) {
    await endings.endAll()
    throw error
  }
}

/** What stands in join commands: as configured, else where the gateway listens, a wildcard made concrete. */
function gatewayAddress(config: Config, listening: Address, localHost: string): Address {
  if (config.gateway.publicAddress !== undefined) return config.gateway.publicAddress
  const { host } = config.gateway.listen
  return { host: host === '0.0.0.0' || host === '::' ? localHost : host, port: listening.port }
}

/** This machine's first address that others may reach, else its name. */
function outwardAddress(): string {
  const addresses = Object.values(os.networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? os.hostname()
}
