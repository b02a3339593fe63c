/** Xray serves whatever becomes of us: what is broken is told, what can be mended is mended by itself. */
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { createNode } from '#src/node/node.ts'
import { type Runtime, systemRuntime } from '#src/runtime.ts'
import { findByArguments } from '#src/xray/life/proc.ts'
import { xrayArguments, xrayPaths } from '#src/xray/life/process.ts'
import { type TestNode, openTestStore, startTestNode, testNodeOptions } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort, startWebTarget, startXrayClient } from '#test/support/xray-client.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const key = () => ({ idempotencyKey: randomUUID() })

async function node(): Promise<TestNode> {
  const it = await startTestNode()
  ends.push(() => it.stop())
  return it
}

async function addInbound(it: TestNode, tag: string, port: number): Promise<void> {
  await it.node.operations['inbounds.add'](
    inboundInput.parse({
      tag,
      protocol: 'vless',
      listen: '127.0.0.1',
      port,
      stream: { transport: { type: 'raw' }, security: { type: 'none' } },
    }),
    key(),
  )
}

/** Adds a client, and returns its link. */
async function addClient(it: TestNode, tag: string, email: string): Promise<string> {
  const person = { email, uuid: randomUUID(), subscriptionId: randomUUID(), flow: '' }
  const [client] = await it.node.operations['clients.add'](
    { id: tag, clients: [clientInput.parse(person)] },
    key(),
  )
  return client?.links.at(-1) ?? ''
}

async function serves(link: string): Promise<void> {
  const web = await startWebTarget()
  const app = await startXrayClient({ binary: xrayBinary(), link })
  try {
    expect((await app.get(web.pageUrl)).body).toBe(web.pageText)
  } finally {
    await app.stop()
    await web.stop()
  }
}

const health = (it: TestNode) => it.node.operations['server.health'](undefined, {})
const pids = async (dir: string): Promise<number[]> =>
  (await findByArguments(xrayArguments(join(dir, 'xray')))).map(({ pid }) => pid)

/** What a reboot does to Xray. */
async function killXray(dir: string): Promise<void> {
  for (const pid of await pids(dir)) process.kill(pid, 'SIGKILL')
  await expect.poll(() => pids(dir), { timeout: 10_000 }).toEqual([])
}

async function occupy(port: number): Promise<() => Promise<unknown>> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  expect((server.address() as AddressInfo).port).toBe(port)
  const free = (): Promise<unknown> => new Promise((resolve) => server.close(resolve))
  ends.push(free)
  return free
}

describe('a port that another program has taken', () => {
  test('closes that inbound alone, changes of it go on, and it opens by itself', async () => {
    const it = await node()
    const [taken, other] = [await freePort(), await freePort()]
    await addInbound(it, 'taken', taken)
    await addInbound(it, 'other', other)
    await addClient(it, 'taken', 'anna')
    const boris = await addClient(it, 'other', 'boris')
    await it.node.stop({ stopXray: true })
    const free = await occupy(taken)
    await it.restart()
    const closed = `the inbound taken is closed: port ${taken} cannot be had, another program uses it`
    expect(await health(it)).toMatchObject({ status: 'error', xrayRunning: true, lastError: closed })
    await serves(boris)
    const carla = await addClient(it, 'taken', 'carla')
    await it.node.operations['clients.delete']({ email: 'anna' }, key())
    await it.node.operations['inbounds.update']({ id: 'taken', remark: 'closed' }, key())
    // A restart of ours finds Xray running, and knows again what it lacks.
    await it.restart()
    expect(await health(it)).toMatchObject({ status: 'error', xrayRunning: true, lastError: closed })
    const before = await pids(it.dir)

    await free()
    await expect
      .poll(() => health(it), { timeout: 20_000 })
      .toMatchObject({ status: 'online', lastError: null })
    await serves(carla)
    await serves(boris)
    expect(await pids(it.dir)).toEqual(before)
    const { config } = await it.node.operations['xray.config']({ reveal: true }, {})
    const file = JSON.parse(readFileSync(xrayPaths(join(it.dir, 'xray')).config, 'utf8')) as object
    expect(file).toEqual(JSON.parse(JSON.stringify(config)))
  }, 60_000)

  test('is no matter any more when its inbound moves to another, or goes', async () => {
    const it = await node()
    const ports = [await freePort(), await freePort()]
    await addInbound(it, 'moves', ports[0] ?? 0)
    await addInbound(it, 'goes', ports[1] ?? 0)
    await it.node.stop({ stopXray: true })
    for (const port of ports) await occupy(port)
    await it.restart()
    expect((await health(it)).lastError).toMatch(/moves is closed.*; the inbound goes is closed/)
    await it.node.operations['inbounds.update']({ id: 'moves', port: await freePort() }, key())
    expect((await health(it)).lastError).toMatch(/^the inbound goes is closed[^;]*$/)
    await serves(await addClient(it, 'moves', 'anna'))
    await it.node.operations['inbounds.delete']({ id: 'goes' }, key())
    expect(await health(it)).toMatchObject({ status: 'online', lastError: null })
  }, 60_000)
})

describe('rows that cannot be read', () => {
  test('leave Xray with its last configuration, and what is mended is taken up', async () => {
    const it = await node()
    await addInbound(it, 'main', await freePort())
    const anna = await addClient(it, 'main', 'anna')
    const carl = await addClient(it, 'main', 'carl')
    // The file is written at each structural change; what only becomes of clients is in it when we end.
    await addInbound(it, 'second', await freePort())
    const boris = await addClient(it, 'second', 'boris')
    await it.node.operations['clients.delete']({ email: 'carl' }, key())
    const credentials = it.db.prepare('select id, credentials from clients').all() as {
      id: number
      credentials: string
    }[]
    await it.node.stop()
    await killXray(it.dir)
    it.db.prepare("update clients set credentials = 'torn'").run()
    await it.restart()
    expect(await health(it)).toMatchObject({ status: 'error', xrayRunning: true })
    expect((await health(it)).lastError).toMatch(/^A stored secret cannot be read/)
    await serves(anna)
    await serves(boris)
    await expect(serves(carl)).rejects.toThrow()

    const put = it.db.prepare('update clients set credentials = @credentials where id = @id')
    for (const row of credentials) put.run(row)
    await expect
      .poll(() => health(it), { timeout: 20_000 })
      .toMatchObject({ status: 'online', lastError: null })
    await serves(anna)
  }, 60_000)
})

test('a clock that is set back and forward by hours changes nothing of the life of Xray', async () => {
  const real = systemRuntime()
  const jumps = [6, -6, 48, -48, 0]
  let calls = 0
  const runtime: Runtime = {
    ...real,
    now: () => real.now() + (jumps[calls++ % jumps.length] ?? 0) * 60 * 60 * 1000,
  }
  const first = await startTestNode()
  const { dir } = first
  await first.node.stop()
  first.db.close()
  const db = openTestStore(dir)
  const it = createNode({ ...testNodeOptions(dir, db), runtime })
  ends.push(async () => {
    await it.stop({ stopXray: true })
    db.close()
  })
  await it.start()
  const begun = performance.now()
  const state = () => it.operations['xray.start'](undefined, key())
  const before = await state()
  const restarted = await it.operations['xray.restart'](undefined, key())
  expect(restarted.pid).not.toBe(before.pid)
  process.kill(Number(restarted.pid), 'SIGKILL')
  await expect
    .poll(async () => (await pids(dir)).filter((pid) => pid !== restarted.pid), { timeout: 20_000 })
    .toHaveLength(1)
  await it.operations['xray.stop'](undefined, key())
  expect(await pids(dir)).toEqual([])
  expect((await state()).running).toBe(true)
  // Four starts and a wait of one second.
  expect(performance.now() - begun).toBeLessThan(20_000)
}, 60_000)

test('files of Xray that a power cut has torn keep nobody out', async () => {
  const it = await node()
  await addInbound(it, 'main', await freePort())
  const anna = await addClient(it, 'main', 'anna')
  await it.node.stop()
  await killXray(it.dir)
  const paths = xrayPaths(join(it.dir, 'xray'))
  for (const file of [paths.config, paths.previous, paths.pid]) writeFileSync(file, '{"inbounds": [')
  await it.restart()
  expect(await health(it)).toMatchObject({ status: 'online', lastError: null })
  await serves(anna)
}, 60_000)

test('an Xray that runs is found again though all its files are torn', async () => {
  const it = await node()
  await addInbound(it, 'main', await freePort())
  const anna = await addClient(it, 'main', 'anna')
  await it.node.stop()
  const before = await pids(it.dir)
  const paths = xrayPaths(join(it.dir, 'xray'))
  for (const file of [paths.config, paths.previous, paths.pid]) writeFileSync(file, '\0\0\0\0')
  await it.restart()
  expect(await pids(it.dir)).toEqual(before)
  expect(await health(it)).toMatchObject({ status: 'online', lastError: null })
  await serves(anna)
}, 60_000)
