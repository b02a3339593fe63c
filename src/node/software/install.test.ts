import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import type { Download } from '#src/xray/programs/download.ts'
import { xrayVersion } from '#src/xray/programs/program.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'
import { releases, scriptOfVersion, xrayOfVersion } from '#test/support/xray-release.ts'
import { chooseXray } from './choose-xray.ts'

const key = () => ({ idempotencyKey: randomUUID() })
const newer = '99.1.2'

let present: string
let program: Buffer
beforeAll(async () => {
  present = await xrayVersion(xrayBinary())
  program = await xrayOfVersion(newer)
})

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A node, a client of it, and a site. */
async function house(
  download: Download,
  options: { pinned?: boolean } = {},
): Promise<{ it: TestNode; app: XrayClient; web: WebTarget }> {
  const it = await startTestNode({ ...options, download })
  ends.push(() => it.stop())
  const web = await startWebTarget()
  ends.push(() => web.stop())
  const inbound = inboundInput.parse({
    tag: 'in-1',
    protocol: 'vless',
    port: await freePort(),
    listen: '127.0.0.1',
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
  })
  await it.node.operations['inbounds.add'](inbound, key())
  const person = clientInput.parse({ email: 'anna', uuid: randomUUID(), subscriptionId: randomUUID() })
  const [anna] = await it.node.operations['clients.add']({ id: 'in-1', clients: [person] }, key())
  const app = await startXrayClient({ binary: xrayBinary(), link: anna?.links[0] ?? '' })
  ends.push(() => app.stop())
  expect((await app.get(web.pageUrl)).body).toBe(web.pageText)
  return { it, app, web }
}

const install = (it: TestNode, version: string, call = key()) =>
  it.node.operations['system.installXray']({ version }, call)
const versions = async (it: TestNode) => (await it.node.operations['xray.versions'](undefined, {})).versions
const state = (it: TestNode) => it.node.operations['xray.start'](undefined, key())
const kept = (it: TestNode): string[] => {
  try {
    return readdirSync(join(it.dir, 'xray-bin')).toSorted()
  } catch {
    return []
  }
}

describe('another version of Xray', () => {
  test('is installed, serves the clients as before, and is the one to come back with', async () => {
    const { it, app, web } = await house(releases({ [newer]: program }))
    const { pid } = await state(it)
    expect(await versions(it)).toEqual([{ version: present, running: true, chosen: true }])
    const once = key()
    const done = await install(it, newer, once)
    expect(done).toMatchObject({ version: newer, before: present, running: true })
    expect(done.pid).not.toBe(pid)
    expect((await app.get(web.pageUrl)).body).toBe(web.pageText)
    // Both visits: what was counted before the old one ended was read from it at the last moment.
    const down = async () => (await it.node.operations['traffic.clients'](undefined, {}))[0]?.down ?? 0
    await expect.poll(down, { timeout: 10_000 }).toBeGreaterThan(2 * web.pageText.length)
    expect(await it.node.operations['server.health'](undefined, {})).toMatchObject({
      status: 'online',
      xrayVersion: newer,
    })
    expect(await versions(it)).toEqual([
      { version: newer, running: true, chosen: true },
      { version: present, running: false, chosen: false },
    ])
    expect(await install(it, newer, once)).toEqual(done)
    expect(await install(it, newer)).toMatchObject({ pid: done.pid, before: newer })

    const chosen = await chooseXray({
      db: it.db,
      env: { PATH: join(xrayBinary(), '..') },
      installDir: join(it.dir, 'xray-bin'),
      cacheDir: [],
      log: silentLog(),
    })
    expect(chosen).toMatchObject({ binary: join(it.dir, `xray-bin/xray-${newer}/xray`), pinned: false })
    await it.restart()
    expect(await state(it)).toMatchObject({ pid: done.pid })
    await it.node.operations['xray.restart'](undefined, key())
    expect(await versions(it)).toContainEqual({ version: newer, running: true, chosen: true })
    expect((await app.get(web.pageUrl)).body).toBe(web.pageText)
  }, 60_000)

  test('can be left again for the one before, without the internet', async () => {
    const published = releases({ [newer]: program })
    let isCut = false
    const { it, app, web } = await house((url) => (isCut ? Promise.reject(new Error('cut')) : published(url)))
    await install(it, newer)
    isCut = true
    expect(await install(it, present)).toMatchObject({ version: present, before: newer, running: true })
    expect((await app.get(web.pageUrl)).body).toBe(web.pageText)
    expect(await versions(it)).toEqual([
      { version: newer, running: false, chosen: false },
      { version: present, running: true, chosen: true },
    ])
  }, 60_000)

  test('is chosen, and not started, where an admin has stopped Xray', async () => {
    const { it } = await house(releases({ [newer]: program }))
    await it.node.operations['xray.stop'](undefined, key())
    expect(await install(it, newer)).toEqual({ version: newer, before: present, running: false, pid: null })
    expect(await versions(it)).toContainEqual({ version: newer, running: false, chosen: true })
    await it.node.operations['xray.start'](undefined, key())
    expect(await versions(it)).toContainEqual({ version: newer, running: true, chosen: true })
  }, 60_000)

  test.each([
    [
      'at once',
      'case "$*" in *-test*) exit 0;; esac\necho "panic: not on this machine" >&2\nexit 2',
      /panic: not/,
    ],
    // It answers, and then it does not.
    ['soon after', 'case "$*" in *-test*) exit 0;; esac\nexec timeout 1 XRAY "$@"', /it ended/],
  ])(
    'that ends %s is taken back, and the clients have the old one: XRAY_ROLLED_BACK',
    async (_, script, reason) => {
      const broken = scriptOfVersion(newer, script.replace('XRAY', xrayBinary()))
      const { it, app, web } = await house(releases({ [newer]: broken }))
      const once = key()
      const refused = await install(it, newer, once).catch((error: unknown) => error)
      expect(refused).toBeInstanceOf(FleetError)
      expect(refused).toMatchObject({
        code: 'XRAY_ROLLED_BACK',
        details: { version: newer, before: present, reason: expect.stringMatching(reason) as string },
      })
      expect((await app.get(web.pageUrl)).body).toBe(web.pageText)
      expect(await it.node.operations['server.health'](undefined, {})).toMatchObject({
        status: 'online',
        xrayVersion: present,
        lastError: null,
      })
      expect(await versions(it)).toEqual([{ version: present, running: true, chosen: true }])
      expect(kept(it)).toEqual([`xray-${present}`])
      const { pid } = await state(it)
      await expect(install(it, newer, once)).rejects.toMatchObject({ code: 'XRAY_ROLLED_BACK' })
      expect((await state(it)).pid).toBe(pid)
    },
    60_000,
  )

  test.each([
    [
      'does not know the configuration',
      scriptOfVersion(newer, 'echo "Failed to start: main: unknown config id: vless" >&2; exit 23'),
      { code: 'XRAY_REFUSED', message: expect.stringContaining('unknown config id') as string },
    ],
    ['is another version', scriptOfVersion('1.2.3', 'exit 0'), { code: 'DOWNLOAD_FAILED' }],
    ['is no Xray', Buffer.from('#!/bin/sh\nexit 1\n'), { code: 'DOWNLOAD_FAILED' }],
    ['is half a file', Buffer.from('\x7fELF'), { code: 'DOWNLOAD_FAILED' }],
    ['is not published', undefined, { code: 'DOWNLOAD_FAILED', details: { what: `Xray ${newer}` } }],
  ])(
    'that %s is refused, and Xray runs on untouched',
    async (_, content, error) => {
      const { it } = await house(releases(content === undefined ? {} : { [newer]: content }))
      const before = await state(it)
      await expect(install(it, newer)).rejects.toMatchObject(error)
      expect(await state(it)).toEqual(before)
      expect(await versions(it)).toEqual([{ version: present, running: true, chosen: true }])
      expect(kept(it)).toEqual([`xray-${present}`])
    },
    60_000,
  )

  test('is refused where XRAY_BIN names the one to run: XRAY_PINNED', async () => {
    const { it } = await house(releases({ [newer]: program }), { pinned: true })
    await expect(install(it, newer)).rejects.toMatchObject({
      code: 'XRAY_PINNED',
      message: expect.stringContaining(`XRAY_BIN names the Xray of this server (${xrayBinary()})`) as string,
    })
    expect(await it.node.operations['xray.versions'](undefined, {})).toEqual({
      pinned: true,
      versions: [{ version: present, running: true, chosen: true }],
    })
    expect(kept(it)).toEqual([])
  })
})

test('what is run is what the environment names, else what was chosen, else what is found', async () => {
  const it = await startTestNode({ download: releases({ [newer]: program }) })
  ends.push(() => it.stop())
  await install(it, newer)
  const installDir = join(it.dir, 'xray-bin')
  const choose = async (env: Record<string, string>): Promise<unknown> => {
    const { binary, pinned } = await chooseXray({
      db: it.db,
      env,
      installDir,
      cacheDir: [installDir],
      log: silentLog(),
    })
    return [binary, pinned]
  }
  const chosen = join(installDir, `xray-${newer}`, 'xray')
  expect(await choose({ XRAY_BIN: xrayBinary() })).toEqual([xrayBinary(), true])
  expect(await choose({ PATH: '/nowhere', XRAY_BIN: '' })).toEqual([chosen, false])
  expect(readFileSync(chosen).equals(program)).toBe(true)
  rmSync(chosen)
  const onPath = join(it.dir, 'bin', 'xray')
  mkdirSync(join(it.dir, 'bin'))
  symlinkSync(xrayBinary(), onPath)
  expect(await choose({ PATH: join(it.dir, 'bin') })).toEqual([onPath, false])
})
