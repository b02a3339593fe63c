import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTestFleetCa, addServerRow, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { mountSmallDisk } from '#test/support/small-disk.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { freePort } from '#test/support/xray-client.ts'
import { type Agent, joinAgent, startAgent } from './agent.ts'
import type { AgentConfig } from './config.ts'
import { type Connection, createConnectorFactory } from './connectors/factory.ts'
import { defaultAcme } from './node/certificates/acme/settings.ts'
import { systemRuntime } from './runtime.ts'
import { type ControllerTls, createControllerTls } from './trust/controller-tls.ts'
import { createJoinToken } from './trust/join-tokens.ts'
import { type Gateway, startGateway } from './web/gateway.ts'
import { isPortFree } from './xray/life/ports.ts'
import { findByArguments } from './xray/life/proc.ts'
import { xrayArguments, xrayPaths } from './xray/life/process-types.ts'

const runtime = systemRuntime()
const log = silentLog()
const code = (expected: string) => expect.objectContaining({ code: expected })

let trust: TestFleetCa
let tls: ControllerTls
let gateway: Gateway
let folder: string
let config: AgentConfig
const agents: Agent[] = []
const connections: Connection[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fleetgram-agent-'))
  config = {
    data: join(folder, 'agent'),
    listen: { host: '127.0.0.1', port: await freePort() },
    inboundListen: '127.0.0.1',
    limits: { cut: 'off' },
    keepXray: true,
    allowPrivateTargets: true,
    acme: defaultAcme,
    log: { level: 'silent' },
  }
  trust = await createTestFleetCa()
  addServerRow(trust.db, 5)
  tls = await createControllerTls({ ca: trust.ca, hosts: [], runtime, onError: () => undefined })
  gateway = await startGateway({
    ...trust,
    listen: { host: '127.0.0.1', port: 0 },
    tls,
    runtime,
    log,
    onJoined: () => undefined,
  })
})

afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.close()
  for (const agent of agents.splice(0)) await agent.stop({ stopXray: true })
  await gateway.close()
  tls.close()
  await trust.close()
  rmSync(folder, { recursive: true })
})

const token = (serverId = 5) =>
  createJoinToken({ ...trust, runtime, controllerAddress: gateway.address, serverId }).token

async function start(): Promise<Agent> {
  const agent = await startAgent({ config, env: process.env, log })
  agents.push(agent)
  return agent
}

/** The connector the controller makes from the row that joining has filled in. */
function connect(): Connection {
  const row = trust.db.prepare('select id, kind, endpoint from servers where id = 5').get()
  const factory = createConnectorFactory({
    operations: {} as never,
    secureContext: () => tls.secureContext(),
    isAllowed: (hash, id) => trust.identities.isAllowed(hash, id),
    runtime,
    log,
  })
  const connection = factory(row as Parameters<typeof factory>[0])
  connections.push(connection)
  return connection
}

describe('an agent', () => {
  test('joins, serves its controller, and leaves Xray running when it stops', async () => {
    await expect(start()).rejects.toThrow(code('NOT_JOINED'))
    const { serverId } = await joinAgent(config, token())
    expect(serverId).toBe(5)

    const agent = await start()
    expect(agent.serverId).toBe(5)
    const server = connect()
    expect(await server.server.health()).toMatchObject({ status: 'online', xrayRunning: true })
    const port = await freePort()
    const inbound = await server.inbounds.add(
      {
        tag: 'in',
        protocol: 'vless',
        port,
        listen: '127.0.0.1',
        stream: { transport: { type: 'raw' }, security: { type: 'none' } },
      },
      { context: { idempotencyKey: randomUUID() } },
    )
    const people = [{ email: 'anna', uuid: randomUUID(), subscriptionId: randomUUID() }]
    const [anna] = await server.clients.add(
      { id: 'in', clients: people },
      { context: { idempotencyKey: randomUUID() } },
    )
    // Where the controller saw the machine is what links name.
    expect(anna?.links[0]).toContain(`@127.0.0.1:${port}`)
    const xrayPid = () => readFileSync(xrayPaths(join(config.data, 'xray')).pid, 'utf8')
    const before = xrayPid()

    agents.splice(0)
    await agent.stop()
    await expect(server.server.health()).rejects.toThrow(code('SERVER_UNREACHABLE'))
    await start()
    expect(await server.server.health()).toMatchObject({ status: 'online' })
    expect(await server.inbounds.list()).toMatchObject([{ id: inbound.id, clientCount: 1 }])
    expect(xrayPid()).toBe(before)
  })

  test('ends at once though it is listened to, and says afterwards that there is a gap', async () => {
    await joinAgent(config, token())
    const agent = await start()
    const server = connect()
    const stream = await server.sync.events({})
    const tail = await server.system.tail({})
    const first = await stream.next()
    if (first.done === true) throw new Error('the end')
    await tail.next()
    const since = Date.now()
    await Promise.all([
      agent.stop(),
      expect(stream.next()).rejects.toThrow(code('SERVER_UNREACHABLE')),
      expect(tail.next()).rejects.toThrow(code('SERVER_UNREACHABLE')),
    ])
    // Of the 10 s that Docker gives it.
    expect(Date.now() - since).toBeLessThan(5_000)
    agents.splice(0)
    await start()
    const { epoch, seq } = first.value
    const again = await server.sync.events({ epoch, after: seq })
    expect((await again.next()).value).toMatchObject({ type: 'gap' })
  })

  test('ends before it touches Xray when another has its address', async () => {
    await joinAgent(config, token())
    await start()
    const server = connect()
    const { time: _time, ...before } = await server.server.health()
    await expect(start()).rejects.toThrow(code('ADDRESS_TAKEN'))
    expect(await server.server.health()).toMatchObject(before)
  })
})

describe('an agent that cannot start', () => {
  const xrayDir = (): string => join(config.data, 'xray')
  const running = async (): Promise<number[]> =>
    (await findByArguments(xrayArguments(xrayDir()))).map(({ pid }) => pid)
  /** Xray as a reboot leaves it, and the agent's files as they were. */
  async function reboot(): Promise<void> {
    for (const agent of agents.splice(0)) await agent.stop()
    for (const pid of await running()) process.kill(pid, 'SIGKILL')
    await expect.poll(running, { timeout: 10_000 }).toEqual([])
  }

  test.each([
    ['its database is none', 'agent.db', 'DATABASE_BROKEN'],
    ['its identity is cut off', 'identity.json', 'IDENTITY_BROKEN'],
    ['its key is none', 'fleetgram.key', 'KEY_INVALID'],
  ])('since %s lets Xray serve with its last configuration', async (_, name, reason) => {
    await joinAgent(config, token())
    await start()
    const port = await freePort()
    await connect().inbounds.add(
      {
        tag: 'in',
        protocol: 'vless',
        port,
        listen: '127.0.0.1',
        stream: { transport: { type: 'raw' }, security: { type: 'none' } },
      },
      { context: { idempotencyKey: randomUUID() } },
    )
    await reboot()
    const file = join(config.data, name)
    const content = readFileSync(file)
    writeFileSync(file, 'this is something else altogether'.repeat(1_000))
    await expect(start()).rejects.toThrow(code(reason))
    const pids = await running()
    expect(pids).toHaveLength(1)
    expect(await isPortFree('127.0.0.1', port)).toBe(false)
    // A service manager tries again and again.
    await expect(start()).rejects.toThrow(code(reason))
    expect(await running()).toEqual(pids)

    writeFileSync(file, content)
    await start()
    expect(await running()).toEqual(pids)
    expect(await connect().server.health()).toMatchObject({ status: 'online', lastError: null })
  })

  test('since its disk is full lets Xray serve, and comes back once there is room', async (context) => {
    const disk = await mountSmallDisk(32)
    if (disk === undefined) return context.skip('mounting a small disk takes root')
    try {
      config = { ...config, data: join(disk.dir, 'agent') }
      await joinAgent(config, token())
      await start()
      await reboot()
      disk.fill()
      // In SQLite's own words, depending on what it has no room for.
      await expect(start()).rejects.toThrow(/full|disk I\/O/)
      const pids = await running()
      expect(pids).toHaveLength(1)
      disk.free()
      await start()
      expect(await running()).toEqual(pids)
      for (const agent of agents.splice(0)) await agent.stop({ stopXray: true })
    } finally {
      for (const pid of await running()) process.kill(pid, 'SIGKILL')
      await disk.end()
    }
  })

  test('starts no Xray that was stopped on purpose, or never ran', async () => {
    await joinAgent(config, token())
    writeFileSync(join(config.data, 'agent.db'), 'no database')
    await expect(start()).rejects.toThrow(code('DATABASE_BROKEN'))
    expect(await running()).toEqual([])
    rmSync(join(config.data, 'agent.db'))
    await start()
    await connect().xray.stop(undefined, { context: { idempotencyKey: randomUUID() } })
    await reboot()
    writeFileSync(join(config.data, 'agent.db'), 'no database')
    await expect(start()).rejects.toThrow(code('DATABASE_BROKEN'))
    expect(await running()).toEqual([])
  })

  test('or is told to keep none, ends Xray in order with itself', async () => {
    await joinAgent(config, token())
    config = { ...config, keepXray: false }
    const agent = await start()
    const [pid] = await running()
    expect(pid).toBeGreaterThan(0)
    await agent.stop()
    expect(await running()).toEqual([])
    // In order: by itself, not killed, and told so to whoever comes after us.
    expect(existsSync(xrayPaths(xrayDir()).pid)).toBe(false)
    await start()
    expect(await running()).toHaveLength(1)
  })
})

describe('a machine that has joined', () => {
  const files = () =>
    ['identity.json', 'agent.key'].map((file) => readFileSync(join(config.data, file), 'utf8'))

  test('joins again with a new token: a new certificate, the same server, what it holds untouched', async () => {
    await joinAgent(config, token())
    const agent = await start()
    const inbound = await connect().inbounds.add(
      {
        tag: 'in',
        protocol: 'vless',
        port: await freePort(),
        listen: '127.0.0.1',
        stream: { transport: { type: 'raw' }, security: { type: 'none' } },
      },
      { context: { idempotencyKey: randomUUID() } },
    )
    agents.splice(0)
    await agent.stop()
    const [before, key] = files()

    const { serverId } = await joinAgent(config, token())
    expect(serverId).toBe(5)
    expect(files()[0]).not.toBe(before)
    expect(files()[1]).toBe(key)
    await start()
    expect(await connect().inbounds.list()).toMatchObject([{ id: inbound.id, tag: 'in' }])
  })

  test("refuses another server's token, another controller's, and none at all; nothing changes", async () => {
    await joinAgent(config, token())
    const before = files()
    const refused = (reason: RegExp) =>
      expect.objectContaining({
        code: 'ALREADY_JOINED',
        details: { server: 5, folder: config.data, reason: expect.stringMatching(reason) as string },
      })

    addServerRow(trust.db, 6)
    const another = token(6)
    await expect(joinAgent(config, another)).rejects.toThrow(refused(/token is for server 6/))
    const stranger = await createTestFleetCa()
    addServerRow(stranger.db, 5)
    // The address is the right one: the pin is looked at before anything is sent.
    const strange = createJoinToken({
      ...stranger,
      runtime,
      controllerAddress: gateway.address,
      serverId: 5,
    }).token
    await stranger.close()
    await expect(joinAgent(config, strange)).rejects.toThrow(refused(/another controller/))
    await expect(joinAgent(config, 'fg1')).rejects.toThrow(code('JOIN_TOKEN_INVALID'))

    expect(files()).toEqual(before)
    expect((await start()).serverId).toBe(5)
    expect(await connect().server.health()).toMatchObject({ status: 'online' })
    // The token was not used up: a machine that is nobody yet may have it.
    expect(await joinAgent({ ...config, data: join(folder, 'six') }, another)).toMatchObject({ serverId: 6 })
  })

  test('and was removed in the chat is told so by the token of its next server, which stays unused', async () => {
    await joinAgent(config, token())
    trust.db.prepare('delete from servers where id = 5').run()
    addServerRow(trust.db, 7)
    const next = token(7)
    await expect(joinAgent(config, next)).rejects.toThrow(code('ALREADY_JOINED'))
    for (const file of ['identity.json', 'agent.key']) rmSync(join(config.data, file))
    expect(await joinAgent(config, next)).toMatchObject({ serverId: 7 })
  })

  test('and is installed anew takes its place with a new key, and the old key opens nothing', async () => {
    await joinAgent(config, token())
    const old = config
    config = { ...config, data: join(folder, 'anew') }
    expect(await joinAgent(config, token())).toMatchObject({ serverId: 5 })
    await start()
    expect(await connect().server.health()).toMatchObject({ status: 'online' })
    for (const agent of agents.splice(0)) await agent.stop({ stopXray: true })

    config = old
    await start()
    await expect(connect().server.health()).rejects.toThrow(code('SERVER_IDENTITY_REFUSED'))
    await expect(joinAgent(config, token())).rejects.toThrow(code('ALREADY_JOINED'))
  })

  test('says what to do when its identity is broken', async () => {
    await joinAgent(config, token())
    const [identity = '', key = ''] = files()
    const { privateKey: anotherKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const broken: [string, string][] = [
      ['identity.json', identity.slice(0, 100)],
      ['identity.json', '{}'],
      ['agent.key', ''],
      ['agent.key', anotherKey.export({ type: 'pkcs8', format: 'pem' }) as string],
    ]
    for (const [file, text] of broken) {
      writeFileSync(join(config.data, file), text)
      await expect(start()).rejects.toThrow(code('IDENTITY_BROKEN'))
      await expect(joinAgent(config, token())).rejects.toThrow(code('IDENTITY_BROKEN'))
      writeFileSync(join(config.data, 'identity.json'), identity)
      writeFileSync(join(config.data, 'agent.key'), key)
    }
    rmSync(join(config.data, 'agent.key'))
    await expect(start()).rejects.toThrow(code('IDENTITY_BROKEN'))
  })
})
