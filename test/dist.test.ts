import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Playground, startPlayground } from '#src/playground/playground.ts'
import { systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore } from '#src/store/open.ts'
import { loadOrCreateCa } from '#src/trust/ca.ts'
import { createJoinToken } from '#src/trust/join-tokens.ts'
import { loadKey, secretBoxFor } from '#src/trust/secret-box.ts'
import { fixedProgram } from '#src/xray/programs/program.ts'
import { createXrayProcess } from '#src/xray/life/process.ts'
import { type ConnectProxy, startConnectProxy } from './support/connect-proxy.ts'
import { silentLog } from './support/silent-log.ts'
import { type TlsFront, startTlsFront } from './support/tls-front.ts'
import { xrayBinary } from './support/xray-binary.ts'
import { freePort } from './support/xray-client.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const runtime = systemRuntime()
const MIB = 1024 * 1024
/** What the program may hold in memory when idle, as it is shipped. */
const goal = { controller: 120 * MIB, agent: 100 * MIB }

let dir: string
let dist: string
/** A folder that has nothing to do with the project, from which everything here is started. */
let elsewhere: string
let playground: Playground
/** As the real one is reached: behind TLS, and where it is blocked, through a proxy. */
const TELEGRAM = 'api.telegram.test'
let telegram: TlsFront
let proxy: ConnectProxy
let token: string
const net = `127.${randomInt(10, 250)}.${randomInt(0, 250)}`
const running = new Map<string, ChildProcess>()
const output = new Map<string, string>()

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'dist-'))
  dist = join(dir, 'fleetgram')
  elsewhere = join(dir, 'elsewhere')
  await mkdir(elsewhere)
  await run(process.execPath, [join(root, 'build.ts'), '--out', dist], { cwd: root })
  token = `${randomInt(100_000_000, 999_999_999)}:AAshipped-${'x'.repeat(25)}`
  playground = await startPlayground({ token })
  telegram = await startTlsFront(dir, TELEGRAM, playground.apiRoot)
  proxy = await startConnectProxy({ [`${TELEGRAM}:443`]: telegram.port })
})

afterAll(async () => {
  await Promise.all([...running.keys()].map((name) => end(name, 'SIGKILL')))
  for (const home of ['.', 'agent2', 'agent3']) {
    const xray = createXrayProcess({
      program: fixedProgram(xrayBinary()),
      dir: join(dir, home, 'xray'),
      runtime,
      log: silentLog(),
    })
    await xray.stop()
    await xray.detach()
  }
  await proxy.stop()
  await telegram.stop()
  await playground.stop()
  await rm(dir, { recursive: true, force: true })
})

/** Nothing of the environment gets through but where the system's own tools are, and which Node and Xray to use. */
const plain = { PATH: '/usr/bin:/bin', NODE: process.execPath, XRAY_BIN: xrayBinary() }

function start(name: string, args: string[], env: Record<string, string>): void {
  const child = spawn(join(dist, 'fleetgram'), args, { cwd: elsewhere, env: { ...plain, ...env } })
  running.set(name, child)
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => output.set(name, (output.get(name) ?? '') + text))
  }
  child.once('exit', () => running.delete(name))
}

async function end(name: string, signal: NodeJS.Signals): Promise<number | null> {
  const child = running.get(name)
  if (child === undefined) return null
  const ended = once(child, 'exit') as Promise<[number | null]>
  child.kill(signal)
  return (await ended)[0]
}

/** Bytes in memory, as the kernel counts them. */
async function resident(name: string): Promise<number> {
  const status = await readFile(`/proc/${running.get(name)?.pid ?? 0}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** A new server of the fleet, as the bot would write it, and the token for its machine. */
async function invite(id: number, gateway: { host: string; port: number }): Promise<string> {
  const db = openStore({
    file: join(dir, 'fleet.db'),
    migrations: readMigrations(join(root, 'migrations')),
    now: runtime.now(),
  })
  try {
    db.prepare(
      `insert into servers (id, name, name_key, kind, alias, created_at, updated_at)
       values (?, ?, ?, 'agent', ?, 0, 0)`,
    ).run(id, `s${id}`, `s${id}`, `Place ${id}`)
    const box = secretBoxFor(loadKey({ file: join(dir, 'fleetgram.key') }))
    const ca = await loadOrCreateCa({ db, box, runtime })
    return createJoinToken({ db, runtime, ca, controllerAddress: gateway, serverId: id }).token
  } finally {
    db.close()
  }
}

describe('what is shipped', () => {
  it('says its version and how it is used, in a folder that knows nothing of it', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    const at = { cwd: elsewhere, env: plain }
    expect((await run(join(dist, 'fleetgram'), ['--version'], at)).stdout).toBe(`${version}\n`)
    expect((await run(join(dist, 'fleetgram'), ['--help'], at)).stdout).toMatch(
      /^ {2}fleetgram agent join TOKEN/m,
    )
    await expect(run(join(dist, 'fleetgram'), ['demo'], at)).rejects.toMatchObject({ code: 2 })
    await expect(run(join(dist, 'fleetgram'), ['start'], at)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('telegram.token') as string,
    })
    expect(await readdir(elsewhere)).toEqual([])
  })

  it('has what is needed to run it for good, on a machine without the sources', async () => {
    expect((await readdir(join(dist, 'systemd'))).toSorted()).toEqual([
      'fleetgram-agent.service',
      'fleetgram.service',
    ])
    expect(await readdir(dist)).toContain('bot.config.example.json')
  })

  it('has the licences of what it holds', async () => {
    const licenses = await readFile(join(dist, 'THIRD-PARTY-LICENSES.txt'), 'utf8')
    for (const name of ['grammy', 'zod', '@grpc/grpc-js', 'hono'])
      expect(licenses).toMatch(new RegExp(`^${name} \\d`, 'm'))
    expect(licenses).not.toMatch(/^.* \(.*GPL.*\)$/m)
  })

  it('runs a controller and two agents within its memory, and leaves Xray alone when it ends', async () => {
    const gateway = { host: `${net}.1`, port: await freePort() }
    const web = `127.0.0.1:${await freePort()}`
    const tokens = [await invite(2, gateway), await invite(3, gateway)]
    start('controller', ['start'], {
      FLEETGRAM_TELEGRAM_TOKEN: token,
      FLEETGRAM_TELEGRAM_API_ROOT: `https://${TELEGRAM}`,
      ...telegram.env,
      ...proxy.env,
      FLEETGRAM_TELEGRAM_OWNERS: '4242',
      FLEETGRAM_DATABASE: join(dir, 'fleet.db'),
      FLEETGRAM_WEB_LISTEN: web,
      FLEETGRAM_GATEWAY_LISTEN: `${gateway.host}:${gateway.port}`,
      FLEETGRAM_LOCAL_PUBLIC_ADDRESS: `${net}.1`,
      FLEETGRAM_LOCAL_INBOUND_LISTEN: `${net}.1`,
      FLEETGRAM_HEALTH_INTERVAL_SECONDS: '2',
      FLEETGRAM_HEALTH_STARTUP_GRACE_SECONDS: '0',
    })
    await expect
      .poll(() => output.get('controller') ?? '', { timeout: 60_000 })
      .toContain('fleetgram is ready')
    for (const [index, joinToken] of tokens.entries()) {
      const name = `agent${index + 2}`
      start(name, ['agent', 'join', joinToken], {
        FLEETGRAM_AGENT_DATA: join(dir, name),
        FLEETGRAM_AGENT_LISTEN: `${net}.${index + 2}:8443`,
        FLEETGRAM_AGENT_PUBLIC_ADDRESS: `${net}.${index + 2}`,
        FLEETGRAM_AGENT_INBOUND_LISTEN: `${net}.${index + 2}`,
      })
    }
    await expect
      .poll(async () => (await fetch(`http://${web}/`)).text(), { timeout: 60_000, interval: 500 })
      .toMatch(/Everything works[^]*Server 1[^]*Online[^]*Place 2[^]*Online[^]*Place 3[^]*Online/)
    expect((await fetch(`http://${web}/healthz`)).status).toBe(200)
    // A bundle is other code than the sources: what it says to a person must have been heard.
    const alice = playground.user({ id: 4242, firstName: 'Alice', languageCode: 'en' })
    await alice.sends('/start')
    await alice.sees('3 of 3 online', { timeoutMs: 20_000 })

    // What the start needed is given back only after a while.
    const patience = { timeout: 60_000, interval: 1_000 }
    await expect.poll(() => resident('controller'), patience).toBeLessThanOrEqual(goal.controller)
    await expect.poll(() => resident('agent2'), patience).toBeLessThanOrEqual(goal.agent)
    await expect.poll(() => resident('agent3'), patience).toBeLessThanOrEqual(goal.agent)

    const homes = ['.', 'agent2', 'agent3']
    const xrays = await Promise.all(
      homes.map(async (home) => {
        const file = await readFile(join(dir, home, 'xray/xray.pid.json'), 'utf8')
        return (JSON.parse(file) as { pid: number }).pid
      }),
    )
    const figures = await Promise.all(['controller', 'agent2', 'agent3'].map(resident))
    expect(await Promise.all(['controller', 'agent2', 'agent3'].map((name) => end(name, 'SIGTERM')))).toEqual(
      [0, 0, 0],
    )
    for (const pid of xrays) expect(() => process.kill(pid, 0)).not.toThrow()
    for (const said of output.values()) expect(said).not.toMatch(/warning/i)
    process.stdout.write(
      `resident, idle: ${figures.map((bytes) => `${Math.round(bytes / MIB)} MB`).join(', ')}\n`,
    )
  }, 240_000)
})
