/** `npm run demo`: the whole product on this machine. Telegram is the playground, the three servers are real. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from './config.ts'
import { type Controller, startController } from './controller.ts'
import type { Actor } from './fleet/types.ts'
import { createLog } from './log.ts'
import type { DemoAction } from './playground/chat-page.ts'
import { startPlayground } from './playground/playground.ts'
import { type Runtime, randomId, systemRuntime } from './runtime.ts'
import { findXray } from './xray/programs/binary.ts'
import { fixedProgram } from './xray/programs/program.ts'
import { createXrayProcess } from './xray/life/process.ts'
import { isPortFree } from './xray/life/ports.ts'
import { productFile } from './version.ts'

type Env = Record<string, string | undefined>

const actor: Actor = { kind: 'system', id: 'demo' }
/** Each server has a loopback address of its own: two Xray on one port of one address would share it silently. */
const localAddress = '127.0.0.2'
const agents = [
  { name: 'de-1', address: '127.0.0.3', region: 'Frankfurt' },
  { name: 'nl-1', address: '127.0.0.4', region: 'Amsterdam' },
]
/** Easy to remember, and seldom taken; where one is, any free port does. */
const wantedPorts = { chat: 8090, web: 8080, agent: 8443 }

/** An agent beside its own Xray, as a process of its own, so that it can be stopped and started like a real one. */
class DemoAgent {
  readonly name: string
  readonly #env: Env
  #child: ChildProcess | undefined

  constructor(name: string, env: Env) {
    this.name = name
    this.#env = env
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  start(...args: string[]): void {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), 'agent', ...args], {
      env: this.#env,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    this.#child = child
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined
    })
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
}

/** Runs until it is interrupted; leaves nothing behind. */
export async function runDemo(env: Env): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  const runtime = systemRuntime()
  const log = createLog('warn')
  const dir = await mkdtemp(join(tmpdir(), 'fleetgram-demo-'))
  say('Looking for Xray. The first time this may take two minutes …')
  const binary = await findXray({ env, cacheDir: productFile('.cache'), log })

  const chatPort = await freePort(wantedPorts.chat)
  const webPort = await freePort(wantedPorts.web)
  const actions: DemoAction[] = []
  const token = `1000000001:${randomId(runtime, 264).slice(0, 35)}`
  const playground = await startPlayground({
    token,
    listen: `127.0.0.1:${chatPort}`,
    actions,
    links: [{ label: 'Status page', url: `http://127.0.0.1:${webPort}/` }],
  })
  const you = { id: 1_000_001, firstName: 'You', languageCode: 'en' }
  playground.user(you)

  const xrayDirs = [join(dir, 'xray'), ...agents.map(({ name }) => join(dir, name, 'xray'))]
  const xrays = xrayDirs.map((xrayDir) =>
    createXrayProcess({ program: fixedProgram(binary), dir: xrayDir, runtime, log }),
  )
  const config = loadConfig(join(dir, 'none.json'), {
    FLEETGRAM_TELEGRAM_TOKEN: token,
    FLEETGRAM_TELEGRAM_API_ROOT: playground.apiRoot,
    FLEETGRAM_TELEGRAM_OWNERS: String(you.id),
    FLEETGRAM_DATABASE: join(dir, 'fleetgram.db'),
    FLEETGRAM_WEB_LISTEN: `127.0.0.1:${webPort}`,
    FLEETGRAM_GATEWAY_LISTEN: '127.0.0.1:0',
    FLEETGRAM_LOCAL_PUBLIC_ADDRESS: localAddress,
    FLEETGRAM_LOCAL_INBOUND_LISTEN: localAddress,
    FLEETGRAM_LOCAL_ALLOW_PRIVATE_TARGETS: 'true',
    // Quicker than in real life, so that nobody has to wait for an alert.
    FLEETGRAM_HEALTH_INTERVAL_SECONDS: '5',
    FLEETGRAM_HEALTH_STARTUP_GRACE_SECONDS: '0',
  })
  const controller = await startController({ config, env: { ...env, XRAY_BIN: binary }, log, runtime })
  controller.fleet.servers.edit(1, { name: 'home', alias: 'Home', region: 'This machine' }, actor)
  const demoAgents: DemoAgent[] = []
  for (const agent of agents) {
    const port = await freePort(wantedPorts.agent, agent.address)
    demoAgents.push(joinAgent(controller, { ...agent, port, dir, env: { ...env, XRAY_BIN: binary } }))
  }
  actions.push(...demoAgents.map(stopOrStart))
  actions.push(
    ...['home', ...agents.map(({ name }) => name)].map((name, index) =>
      keepXrayDown(name, xrays[index], runtime),
    ),
  )

  const end = async (): Promise<void> => {
    say('Ending …')
    await controller.stop({ stopXray: true })
    await Promise.all(demoAgents.map((agent) => agent.stop()))
    await Promise.all(xrays.map((xray) => xray.stop()))
    await playground.stop()
    await rm(dir, { recursive: true, force: true })
    process.exit(0)
  }
  // SIGHUP too: a terminal that is closed.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void end())

  // Whoever is quick would meet servers that have not joined yet.
  await untilOnline(controller, runtime)
  say(`
  Chat          ${playground.url}
  Status page   ${controller.webUrl}

  Three servers run here: home, de-1 and nl-1, each with an Xray of its own. Open the chat, press Start, and add an
  inbound and a client on all of them. Beside the chat you can stop an agent or keep an Xray down, and see the alert come.
  Press Ctrl+C to end; nothing is left behind.
`)
}

/** ms. One that does not come is told of in the chat. */
const ONLINE_WITHIN_MS = 15_000

async function untilOnline({ fleet }: Controller, runtime: Runtime): Promise<void> {
  const until = runtime.monotonic() + ONLINE_WITHIN_MS
  while (fleet.servers.list().some(({ status }) => status !== 'online') && runtime.monotonic() < until)
    await runtime.sleep(100)
}

/** The wanted port if nobody listens on it, else one that the system picks. */
async function freePort(wanted: number, host = '127.0.0.1'): Promise<number> {
  const port = (await isPortFree(host, wanted)) ? wanted : 0
  const server = createServer()
  server.listen(port, host)
  await once(server, 'listening')
  const { port: free } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return free
}

function joinAgent(
  controller: Controller,
  {
    name,
    address,
    region,
    port,
    dir,
    env,
  }: (typeof agents)[number] & { port: number; dir: string; env: Env },
): DemoAgent {
  const server = controller.fleet.servers.create({ name, region, publicAddress: address }, actor)
  controller.fleet.servers.edit(server.id, { alias: region }, actor)
  const agent = new DemoAgent(name, {
    ...env,
    FLEETGRAM_AGENT_DATA: join(dir, name),
    FLEETGRAM_AGENT_LISTEN: `${address}:${port}`,
    FLEETGRAM_AGENT_PUBLIC_ADDRESS: address,
    FLEETGRAM_AGENT_INBOUND_LISTEN: address,
    FLEETGRAM_AGENT_ALLOW_PRIVATE_TARGETS: 'true',
    FLEETGRAM_AGENT_LOG_LEVEL: 'warn',
  })
  agent.start('join', controller.fleet.servers.invite(server.id, actor).token)
  return agent
}

function stopOrStart(agent: DemoAgent): DemoAction {
  return {
    id: `agent-${agent.name}`,
    label: `Stop or start the agent of ${agent.name}`,
    hint: 'Its Xray goes on serving. The alert comes after about 25 seconds, the all-clear when it is back.',
    async run() {
      if (!agent.running) {
        agent.start()
        return `The agent of ${agent.name} is starting.`
      }
      await agent.stop()
      return `The agent of ${agent.name} is stopped. Its Xray goes on.`
    },
  }
}

/** ms. Killed once, Xray runs again after a second, which is no alert: that comes after two looks 4 s apart. */
const KEPT_DOWN_MS = 15_000
/** ms. Shorter than a look at a server takes to notice that it runs. */
const KILL_EVERY_MS = 200

function keepXrayDown(
  name: string,
  xray: ReturnType<typeof createXrayProcess> | undefined,
  runtime: Runtime,
): DemoAction {
  return {
    id: `xray-${name}`,
    label: `Keep Xray on ${name} down for ${KEPT_DOWN_MS / 1000} s`,
    hint: 'It is killed whenever it is started again. The alert comes within that time, the all-clear after it.',
    async run() {
      const until = runtime.monotonic() + KEPT_DOWN_MS
      let kills = 0
      while (xray !== undefined && runtime.monotonic() < until) {
        // Taken over only to be found: the agent watches its own Xray and starts it again.
        const { pid } = (await xray.adopt()) ? xray.state() : { pid: null }
        await xray.detach()
        if (pid !== null && isKilled(pid)) kills++
        // Nothing to keep down.
        if (kills === 0) return `No Xray runs on ${name}.`
        await runtime.sleep(KILL_EVERY_MS)
      }
      return `Xray on ${name} was kept down: killed ${kills} times. It comes back by itself.`
    },
  }
}

/** False where it has ended by itself just now. */
function isKilled(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}
