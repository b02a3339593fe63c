/** A real Xray that takes its time to start, as a large one does: what is changed meanwhile reaches it all the same. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { contract } from '#src/contract/index.ts'
import { type XrayApi, connectXrayApi } from '#src/xray/api/api.ts'
import { findByArguments } from '#src/xray/life/proc.ts'
import { xrayArguments, xrayPaths } from '#src/xray/life/process.ts'
import { parseXrayName } from '#src/xray/config/user-name.ts'
import { backupOf, restoreTo } from '#test/support/backup-files.ts'
import { freePort } from '#test/support/client-process.ts'
import { person, plainInput } from '#test/support/inputs.ts'
import { listeningSockets } from '#test/support/listening-socket.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'

let it: TestNode
let api: XrayApi
let folder: string
const call = () => ({ idempotencyKey: randomUUID() })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slow-'))
  const slow = join(folder, 'xray')
  const script = `#!/bin/sh\nif [ "$1 $2" = 'run -c' ]; then sleep 1.5; fi\nexec '${xrayBinary()}' "$@"\n`
  await writeFile(slow, script, { mode: 0o755 })
  // Nothing is read in the moment it dies: who tried then may be a few tenths of a second late to find the next one.
  const node = { accountingIntervalMs: 600_000 }
  it = await startTestNode({ binary: slow, parent: folder, node })
  api = connectXrayApi(xrayPaths(join(it.dir, 'xray')).socket)
  await it.node.operations['inbounds.add'](plainInput('main', await freePort()), call())
  const clients = ['anna', 'bert'].map(person)
  await it.node.operations['clients.add']({ id: 'main', clients }, call())
}, 30_000)

afterEach(async () => {
  api.close()
  await it.stop()
  await rm(folder, { recursive: true, force: true })
})

const health = () => it.node.operations['server.health'](undefined, {})
const processes = async () =>
  (await findByArguments(xrayArguments(join(it.dir, 'xray')))).map(({ pid }) => pid)

/** Xray dies; resolves when the next one has its configuration, and has yet to read it. */
async function crash(): Promise<void> {
  const [pid = 0] = await processes()
  process.kill(pid, 'SIGKILL')
  await expect
    .poll(async () => (await processes()).some((other) => other !== pid), { timeout: 5_000 })
    .toBe(true)
  expect((await health()).xrayRunning).toBe(false)
}

async function users(tag: string): Promise<string[]> {
  return (await api.users(tag)).map(({ email }) => parseXrayName(email)?.email ?? email).toSorted()
}

async function listensOn(port: number): Promise<boolean> {
  const [pid = 0] = await processes()
  return listeningSockets(pid, port).length > 0
}

test('clients and inbounds that are changed while Xray starts again', async () => {
  const { operations } = it.node
  const moved = await operations['inbounds.add'](plainInput('moved', await freePort()), call())
  await operations['inbounds.add'](plainInput('gone', await freePort()), call())
  const [port, late] = [await freePort(), await freePort()]
  await crash()
  await Promise.all([
    operations['clients.delete']({ email: 'anna' }, call()),
    operations['clients.update']({ email: 'bert', expiresAt: 1 }, call()),
    operations['clients.add']({ id: 'main', clients: [person('carla')] }, call()),
    operations['inbounds.update']({ id: 'moved', port }, call()),
    operations['inbounds.delete']({ id: 'gone' }, call()),
    operations['inbounds.add'](plainInput('late', late), call()),
  ])
  await expect.poll(async () => (await health()).xrayRunning, { timeout: 10_000 }).toBe(true)
  expect(await users('main')).toEqual(['carla'])
  expect((await api.inboundTags()).toSorted()).toEqual(['api', 'late', 'main', 'moved'])
  expect(await listensOn(late)).toBe(true)
  expect(await listensOn(port)).toBe(true)
  expect(await listensOn(moved.port)).toBe(false)
}, 30_000)

test('rows that are put back while Xray starts again', async () => {
  const backup = await backupOf(it.node)
  await it.node.operations['clients.update']({ email: 'bert', enabled: false }, call())
  expect(await users('main')).toEqual(['anna'])
  await crash()
  await restoreTo(it.node, backup)
  await expect.poll(async () => (await health()).xrayRunning, { timeout: 10_000 }).toBe(true)
  expect(await users('main')).toEqual(['anna', 'bert'])
}, 30_000)

test('ways out that need a start of Xray, which are asked for while it starts', async () => {
  const routing = contract.routing.set['~orpc'].inputSchema?.parse({
    outbounds: [],
    rules: [],
    domainStrategy: 'IPOnDemand',
    allowRestart: true,
  })
  await crash()
  const [pid] = await processes()
  await it.node.operations['routing.set'](routing as never, call())
  expect(await processes()).not.toContain(pid)
  expect((await health()).xrayRunning).toBe(true)
}, 30_000)
