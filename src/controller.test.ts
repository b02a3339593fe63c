import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '#test/support/silent-log.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { loadConfig } from './config.ts'
import { type Controller, startController } from './controller.ts'
import type { Actor } from './fleet/types.ts'
import { startPlayground } from './playground/playground.ts'
import { DAY_MS, type Runtime, systemRuntime } from './runtime.ts'
import { findByArguments } from './xray/life/proc.ts'
import { xrayArguments } from './xray/life/process-types.ts'
import { parseJoinToken } from './trust/join-tokens.ts'

const actor: Actor = { kind: 'system', id: 'test' }
let dir: string
let pit: Server
let swallowed: Set<Socket>
let pitAddress: string
let controller: Controller | undefined

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'controller-'))
  swallowed = new Set()
  // Takes every connection and never says a word.
  pit = createServer((socket) => {
    swallowed.add(socket.on('error', () => undefined))
  })
  await new Promise<void>((resolve) => pit.listen(0, '127.0.0.1', resolve))
  pitAddress = `127.0.0.1:${(pit.address() as AddressInfo).port}`
})

afterEach(async () => {
  await controller?.stop({ stopXray: true })
  controller = undefined
  for (const socket of swallowed) socket.destroy()
  pit.close()
  await rm(dir, { recursive: true, force: true })
})

async function start(
  more: Record<string, string> = {},
  runtime: Runtime = systemRuntime(),
): Promise<Controller> {
  const config = loadConfig(join(dir, 'none.json'), {
    FLEETGRAM_TELEGRAM_TOKEN: `123456789:${'x'.repeat(35)}`,
    FLEETGRAM_TELEGRAM_API_ROOT: `http://${pitAddress}`,
    FLEETGRAM_TELEGRAM_OWNERS: '42',
    FLEETGRAM_DATABASE: join(dir, 'fleetgram.db'),
    FLEETGRAM_WEB_LISTEN: '127.0.0.1:0',
    FLEETGRAM_GATEWAY_LISTEN: '127.0.0.1:0',
    FLEETGRAM_LOCAL_PUBLIC_ADDRESS: '127.0.0.1',
    FLEETGRAM_HEALTH_INTERVAL_SECONDS: '1',
    ...more,
  })
  controller = await startController({ config, env: { XRAY_BIN: xrayBinary() }, log: silentLog(), runtime })
  return controller
}

describe('the controller', () => {
  test('serves though Telegram swallows everything, and ends in time though a server hangs', async () => {
    const started = await start()
    const { fleet, webUrl } = started
    expect((await fetch(new URL('healthz', webUrl))).status).toBe(200)
    await expect.poll(() => fleet.servers.get(1).status, { timeout: 30_000 }).toBe('online')
    await expect
      .poll(
        async () =>
          ((await (await fetch(new URL('healthz', webUrl))).json()) as { judgedAt: unknown }).judgedAt,
        {
          timeout: 30_000,
        },
      )
      .toMatch(/Z$/)

    const { id } = fleet.servers.create({ name: 'pit' }, actor)
    const before = swallowed.size
    fleet.noteJoined(id, `https://${pitAddress}`)
    // A probe is under way there.
    await expect.poll(() => swallowed.size, { timeout: 30_000 }).toBeGreaterThan(before)
    const begun = Date.now()
    await started.stop({ stopXray: true })
    // What Docker allows; by far less than any of the calls would have waited.
    expect(Date.now() - begun).toBeLessThan(10_000)
    await expect(fetch(webUrl)).rejects.toThrow()
  }, 90_000)

  test('that cannot start leaves its Xray serving, and one that is told so ends it', async () => {
    const running = async (): Promise<number[]> =>
      (await findByArguments(xrayArguments(join(dir, 'xray')))).map(({ pid }) => pid)
    const telegram = { FLEETGRAM_TELEGRAM_API_ROOT: 'http://127.0.0.1:9' }
    await (await start(telegram)).stop()
    const database = await readFile(join(dir, 'fleetgram.db'))
    for (const pid of await running()) process.kill(pid, 'SIGKILL')
    await expect.poll(running, { timeout: 10_000 }).toEqual([])
    await writeFile(join(dir, 'fleetgram.db'), 'no database')
    await expect(start(telegram)).rejects.toMatchObject({ code: 'DATABASE_BROKEN' })
    const pids = await running()
    expect(pids).toHaveLength(1)
    await writeFile(join(dir, 'fleetgram.db'), database)
    const started = await start({ ...telegram, FLEETGRAM_LOCAL_KEEP_XRAY: 'false' })
    expect(await running()).toEqual(pids)
    await started.stop()
    expect(await running()).toEqual([])
  }, 90_000)

  test('tells who asked for a change, and waits for it no more, that it will not be made', async () => {
    const token = `123456789:${'y'.repeat(35)}`
    const telegram = await startPlayground({ token })
    const alice = telegram.user({ id: 42, firstName: 'Alice', languageCode: 'en' })
    let later = 0
    const runtime = { ...systemRuntime(), now: () => Date.now() + later }
    const address = { FLEETGRAM_TELEGRAM_TOKEN: token, FLEETGRAM_TELEGRAM_API_ROOT: telegram.apiRoot }
    const { fleet } = await start(address, runtime)
    try {
      await alice.sends('/start')
      await alice.sees('Default Local Server')
      const { id } = fleet.servers.create({ name: 'far' }, actor)
      const asked = await fleet.tasks.run({
        operation: 'clients.add',
        targets: [{ serverId: id, input: { id: 'main', clients: [fleet.newClient('anna')] } }],
        actor: { kind: 'telegram', id: '42', chat: '42' },
      })
      expect(await asked.settled).toMatchObject([{ status: 'pending' }])
      later = 8 * DAY_MS
      fleet.tasks.kick(id)
      const told = await alice.sees('A change was not made on far', { timeoutMs: 20_000 })
      expect(told.text).toContain('Adding anna: ')
    } finally {
      await controller?.stop({ stopXray: true })
      controller = undefined
      await telegram.stop()
    }
  }, 90_000)

  test('writes join commands as it is told, for a server that has joined too', async () => {
    const { fleet, gateway } = await start({
      // Nobody listens there.
      FLEETGRAM_TELEGRAM_API_ROOT: 'http://127.0.0.1:9',
      FLEETGRAM_GATEWAY_JOIN_COMMAND: 'docker compose run --rm agent agent join',
    })
    const { id } = fleet.servers.create({ name: 'far' }, actor)
    fleet.noteJoined(id, `https://${pitAddress}`)
    const { command, token } = fleet.servers.invite(id, actor)
    expect(command).toBe(`docker compose run --rm agent agent join '${token}'`)
    expect(parseJoinToken(token).controller).toEqual(gateway)
  }, 90_000)
})
