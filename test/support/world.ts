/**
 * The whole product for an end-to-end test: our strict Telegram with people in it, the controller and every agent as
 * processes of their own with databases of their own, a real Xray beside each, all on loopback addresses of this test.
 */
import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Playground, startPlayground } from '#src/playground/playground.ts'
import type { User } from '#src/playground/user.ts'
import { systemRuntime } from '#src/runtime.ts'
import { fixedProgram } from '#src/xray/programs/program.ts'
import { createXrayProcess } from '#src/xray/life/process.ts'
import { type Program, program } from './process.ts'
import { programFile } from './programs.ts'
import { silentLog } from './silent-log.ts'
import { xrayBinary } from './xray-binary.ts'
import { type WebTarget, type XrayClient, startWebTarget, startXrayClient } from './xray-client.ts'

export interface Machine {
  name: string
  /** The loopback address that is all of this machine. */
  address: string
  dir: string
  program: Program
  /** Which Xray runs there: changes with every start of it. */
  xray(): Promise<string>
}

export interface World {
  token: string
  playground: Playground
  alice: User
  controller: Machine
  /** A machine to become a server; made when first named. */
  machine(name: string): Machine
  /** A site on the internet, as far as this world has one. */
  site: WebTarget
  /** From now on no Xray that ends can be started again, until it is mended. */
  breakXray(): Promise<void>
  mendXray(): Promise<void>
  /** Starts the controller and waits until it is ready. */
  startController(): Promise<void>
  /** An app set up with this link; ended with the world. */
  app(link: string): Promise<XrayClient>
  /** What all processes wrote to their logs. */
  logs(): string
  webUrl: string
  stop(): Promise<void>
}

export interface WorldOptions {
  healthIntervalSeconds?: number
  startupGraceSeconds?: number
  /** Runs all programs so that a test can kill them at a point of its choice: see faulty-program.ts. */
  faulty?: boolean
  /** Where a machine's agent listens; its own address and port 8443, where it is dialled, unless told. */
  agentListen?: (address: string) => string
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'world-'))
  // A net of its own, so that tests that run side by side never meet.
  const net = `127.${randomInt(10, 250)}.${randomInt(0, 250)}`
  const token = `${randomInt(100_000_000, 999_999_999)}:AAtest${randomInt(1e11, 9e11)}_secret-token-of-35`
  const playground = await startPlayground({ token })
  const alice = playground.user({ id: 4242, firstName: 'Alice', languageCode: 'en' })
  const site = await startWebTarget()
  const apps: XrayClient[] = []
  const machines = new Map<string, Machine>()

  const binary = join(dir, 'bin', 'xray')
  const mendXray = (): Promise<void> => symlink(xrayBinary(), binary)
  await mkdir(join(dir, 'bin'))
  await mendXray()

  const common = {
    XRAY_BIN: binary,
    HOME: dir,
  }

  const add = (
    name: string,
    command: string,
    address: string,
    home: string,
    env: Record<string, string>,
  ): Machine => {
    const machine: Machine = {
      name,
      address,
      dir: home,
      program: program(
        command,
        { ...common, ...env },
        programFile(options.faulty === true ? 'faulty' : 'fleetgram'),
      ),
      xray: () => readFile(join(home, 'xray', 'xray.pid.json'), 'utf8'),
    }
    machines.set(name, machine)
    return machine
  }

  const controller = add('controller', 'start', `${net}.2`, dir, {
    FLEETGRAM_TELEGRAM_TOKEN: token,
    FLEETGRAM_TELEGRAM_API_ROOT: playground.apiRoot,
    FLEETGRAM_TELEGRAM_OWNERS: '4242',
    FLEETGRAM_DATABASE: join(dir, 'fleetgram.db'),
    // Not on 127.0.0.1: a connection of anybody's could have its near end there when we start again.
    FLEETGRAM_WEB_LISTEN: `${net}.2:8080`,
    FLEETGRAM_GATEWAY_LISTEN: `${net}.2:8443`,
    FLEETGRAM_LOCAL_PUBLIC_ADDRESS: `${net}.2`,
    FLEETGRAM_LOCAL_INBOUND_LISTEN: `${net}.2`,
    FLEETGRAM_LOCAL_ALLOW_PRIVATE_TARGETS: 'true',
    FLEETGRAM_HEALTH_INTERVAL_SECONDS: String(options.healthIntervalSeconds ?? 3),
    FLEETGRAM_HEALTH_STARTUP_GRACE_SECONDS: String(options.startupGraceSeconds ?? 0),
    FLEETGRAM_LOG_LEVEL: 'debug',
  })

  return {
    token,
    playground,
    alice,
    controller,
    site,
    webUrl: `http://${net}.2:8080/`,
    machine(name) {
      const there = machines.get(name)
      if (there !== undefined) return there
      const address = `${net}.${machines.size + 2}`
      const home = join(dir, name)
      return add(name, 'agent', address, home, {
        FLEETGRAM_AGENT_DATA: home,
        FLEETGRAM_AGENT_LISTEN: options.agentListen?.(address) ?? `${address}:8443`,
        FLEETGRAM_AGENT_PUBLIC_ADDRESS: address,
        FLEETGRAM_AGENT_INBOUND_LISTEN: address,
        FLEETGRAM_AGENT_ALLOW_PRIVATE_TARGETS: 'true',
        FLEETGRAM_AGENT_LOG_LEVEL: 'debug',
      })
    },
    breakXray: () => rm(binary),
    mendXray,
    async startController() {
      controller.program.start()
      await controller.program.says(/fleetgram is ready/, 60_000)
    },
    async app(link) {
      const app = await startXrayClient({ binary: xrayBinary(), link })
      apps.push(app)
      return app
    },
    logs: () => [...machines.values()].map((machine) => machine.program.output()).join('\n'),
    async stop() {
      await Promise.all(apps.map((app) => app.stop()))
      await Promise.all([...machines.values()].map((machine) => machine.program.kill()))
      for (const machine of machines.values()) {
        const xray = createXrayProcess({
          program: fixedProgram(xrayBinary()),
          dir: join(machine.dir, 'xray'),
          runtime: systemRuntime(),
          log: silentLog(),
        })
        await xray.stop()
        await xray.detach()
      }
      await site.stop()
      await playground.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
