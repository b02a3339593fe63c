import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createLocalConnector } from '#src/connectors/local.ts'
import { findByArguments } from '#src/xray/life/proc.ts'
import { xrayArguments, xrayPaths } from '#src/xray/life/process.ts'
import { openBotHouse } from '#test/support/bot-house.ts'
import { type Program, program } from '#test/support/process.ts'
import { mountSmallDisk } from '#test/support/small-disk.ts'
import { startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort } from '#test/support/xray-client.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'machine-'))
  ends.push(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

const key = () => ({ context: { idempotencyKey: randomUUID() } })
const inbound = async (tag: string) => ({
  tag,
  remark: '',
  protocol: 'vless' as const,
  listen: '127.0.0.1',
  port: await freePort(),
  stream: { transport: { type: 'raw' as const }, security: { type: 'none' as const } },
  sniffing: { enabled: true, destOverride: ['tls' as const] },
  enabled: true,
})
const person = (email: string) => ({
  email,
  uuid: randomUUID(),
  subscriptionId: randomUUID(),
  flow: '' as const,
  enabled: true,
  // Large, so that a few of them need room on the disk.
  comment: 'x'.repeat(128),
})

describe('a disk that is full', () => {
  test('refuses a change whole, and the same request goes through once there is room', async () => {
    // Where nothing may be mounted, SQLite's own limit stands in: the same error by the same path.
    const disk = await mountSmallDisk(16)
    if (disk !== undefined) ends.push(() => disk.end())
    const it = await startTestNode(disk === undefined ? {} : { parent: disk.dir })
    ends.push(() => it.stop())
    const server = createLocalConnector(it.node.operations)
    await server.inbounds.add(await inbound('main'), key())
    const fill = (): void => {
      it.db.pragma('wal_checkpoint(truncate)')
      if (disk === undefined)
        it.db.pragma(`max_page_count = ${Number(it.db.pragma('page_count', { simple: true }))}`)
      else disk.fill()
    }
    const free = (): void => {
      if (disk === undefined) it.db.pragma('max_page_count = 1000000')
      else disk.free()
    }
    const rows = () => it.db.prepare('select email from clients order by id').pluck().all()
    const keys = () =>
      it.db.prepare("select count(*) from applied_tasks where status <> 'applied'").pluck().get()

    fill()
    const crowd = (i: number) => ({
      input: { id: 'main', clients: Array.from({ length: 50 }, (_, n) => person(`p-${i}-${n}`)) },
      call: key(),
    })
    let refused
    let before: unknown[] = []
    for (let i = 0; ; i++) {
      expect(i).toBeLessThan(200)
      before = rows()
      refused = crowd(i)
      try {
        await server.clients.add(refused.input, refused.call)
      } catch (error) {
        expect(error).toMatchObject({ code: 'DISK_FULL', retryable: true })
        break
      }
    }
    expect(rows()).toEqual(before)
    expect(keys()).toBe(0)
    expect((await server.server.health()).status).toBe('online')

    free()
    const added = await server.clients.add(refused.input, refused.call)
    expect(added).toHaveLength(50)
    expect(rows()).toHaveLength(before.length + 50)
    // An inbound needs room for files too.
    if (disk === undefined) return
    disk.fill()
    const another = { input: await inbound('second'), call: key() }
    await expect(server.inbounds.add(another.input, another.call)).rejects.toMatchObject({
      code: 'DISK_FULL',
    })
    disk.free()
    await server.inbounds.add(another.input, another.call)
    expect((await server.inbounds.list()).map(({ tag }) => tag)).toEqual(['main', 'second'])
  }, 60_000)

  test('at the controller loses no tap, and is not hammered', async () => {
    const house = await openBotHouse()
    ends.push(() => house.end())
    const { alice } = house
    await alice.sends('/start')
    await alice.sees('Default Local Server')
    const { $client } = house.db()
    $client.exec(
      `create trigger full before update on update_inbox begin select raise(abort, 'disk full'); end`,
    )
    await alice.sends('/help')
    const stopped = () => house.log.filter((line) => line.includes('a queue of updates stopped')).length
    await vi.waitFor(() => expect(stopped()).toBe(1), { timeout: 10_000 })
    await sleep(1_000)
    expect(stopped()).toBe(1)
    $client.exec('drop trigger full')
    await alice.sees('/find anna', { timeoutMs: 20_000 })
  }, 40_000)
})

describe('Xray that is none', () => {
  const broken = (): string => {
    const path = join(folder(), 'xray')
    writeFileSync(path, '#!/bin/sh\necho "this is not what you think" >&2\nexit 1\n')
    chmodSync(path, 0o755)
    return path
  }

  test('is called that, changes are refused, and nothing is written', async () => {
    const it = await startTestNode({ binary: broken() })
    ends.push(() => it.stop())
    const server = createLocalConnector(it.node.operations)
    const health = await server.server.health()
    expect(health).toMatchObject({ status: 'error', xrayRunning: false })
    expect(health.lastError).toMatch(/is no Xray: this is not what you think/)
    await expect(server.inbounds.add(await inbound('main'), key())).rejects.toMatchObject({
      code: 'XRAY_NOT_FOUND',
    })
    await expect(server.xray.restart(undefined, key())).rejects.toMatchObject({ code: 'XRAY_NOT_FOUND' })
    expect(await server.inbounds.list()).toEqual([])
    const open = it.db.prepare("select count(*) from applied_tasks where status = 'applying'").pluck().get()
    expect(open).toBe(0)
  }, 60_000)

  test.each(['start', 'agent'])('that is not there at all ends `%s` with what to do', async (command) => {
    const home = folder()
    const ended = await lastWords(command, home, { XRAY_BIN: join(home, 'missing') })
    // An agent that has not joined has nothing to run it for.
    if (command === 'agent') expect(ended).toMatch(/has not joined/)
    else
      expect(ended).toMatch(/There is no Xray to run: .*missing.* Put xray on PATH, or name it in XRAY_BIN\./)
  })
})

/** One of our programs, with all it needs, on addresses of its own. */
function ours(command: string, home: string, env: Record<string, string> = {}): Program {
  const it = program(command, {
    XRAY_BIN: xrayBinary(),
    HOME: home,
    FLEETGRAM_TELEGRAM_TOKEN: '4243424344:AAmachine-test-token-of-35-chars-xy',
    FLEETGRAM_TELEGRAM_OWNERS: '42',
    FLEETGRAM_TELEGRAM_API_ROOT: 'http://127.0.0.1:9',
    FLEETGRAM_DATABASE: join(home, 'fleetgram.db'),
    FLEETGRAM_WEB_LISTEN: '127.0.0.1:0',
    FLEETGRAM_GATEWAY_LISTEN: '127.0.0.1:0',
    FLEETGRAM_AGENT_DATA: home,
    ...env,
  })
  it.start()
  ends.push(() => it.kill())
  return it
}

/** What a program says before it ends by itself; it must be one line. */
async function lastWords(command: string, home: string, env: Record<string, string> = {}): Promise<string> {
  const it = ours(command, home, env)
  await vi.waitFor(() => expect(it.running).toBe(false), { timeout: 20_000 })
  expect(it.output()).not.toMatch(/\n\s+at /)
  return it.output().trim()
}

test.each([
  { keep: 'true', left: 1 },
  { keep: 'false', left: 0 },
])('SIGTERM, told to keep Xray: $keep', async ({ keep, left }) => {
  const home = folder()
  const running = () => findByArguments(xrayArguments(join(home, 'xray')))
  const it = ours('start', home, { FLEETGRAM_LOCAL_KEEP_XRAY: keep })
  await vi.waitFor(async () => expect(await running()).toHaveLength(1), { timeout: 20_000 })
  const [xray] = await running()
  if (keep === 'true') ends.push(() => void process.kill(xray?.pid ?? 0, 'SIGKILL'))
  await it.stop()
  expect(await running()).toHaveLength(left)
  expect(it.output()).not.toContain('did not end')
  // In order: told so to whoever comes after us.
  expect(existsSync(xrayPaths(join(home, 'xray')).pid)).toBe(keep === 'true')
})

test('a database of a newer release ends the start with what to do, and is left as it is', async () => {
  const home = folder()
  const file = join(home, 'fleetgram.db')
  const db = new Database(file)
  db.exec(`create table schema_migrations (idx integer primary key, name text not null, hash text not null) strict;
    insert into schema_migrations values (99, '0099_from_the_future', 'x')`)
  db.close()
  const before = readFileSync(file)
  expect(await lastWords('start', home)).toMatch(
    /written by a newer release \(it has 0099_from_the_future\)\. Install that release or a later one\./,
  )
  const after = new Database(file, { readonly: true })
  expect(after.prepare('select name from sqlite_master').pluck().all()).toEqual(['schema_migrations'])
  expect(after.prepare('select * from schema_migrations').all()).toHaveLength(1)
  after.close()
  expect(before.length).toBeGreaterThan(0)
})
