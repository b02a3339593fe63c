import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { findByArguments } from '#src/xray/life/proc.ts'
import { xrayVersion } from '#src/xray/programs/program.ts'
import { xrayPaths } from '#src/xray/life/process-types.ts'
import type { InstallStep } from '#test/support/installing-node.ts'
import { type TestNode, openTestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort, startWebTarget, startXrayClient } from '#test/support/xray-client.ts'
import { releases, scriptOfVersion, xrayOfVersion } from '#test/support/xray-release.ts'

const [newer, broken] = ['99.1.2', '99.1.3']
const script = fileURLToPath(import.meta.resolve('#test/support/installing-node.ts'))

let present: string
let programs: string
beforeAll(async () => {
  present = await xrayVersion(xrayBinary())
  programs = mkdtempSync(join(tmpdir(), 'programs-'))
  writeFileSync(join(programs, newer), await xrayOfVersion(newer))
  writeFileSync(
    join(programs, broken),
    scriptOfVersion(broken, 'case "$*" in *-test*) exit 0;; esac\necho "panic: no" >&2; exit 2'),
  )
})
afterAll(() => rmSync(programs, { recursive: true, force: true }))

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A node with a client in it, let go of: its Xray runs on. */
async function nodeWithClient(): Promise<{ dir: string; link: string }> {
  const it = await startTestNode()
  const inbound = inboundInput.parse({
    tag: 'in-1',
    protocol: 'vless',
    port: await freePort(),
    listen: '127.0.0.1',
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
  })
  await it.node.operations['inbounds.add'](inbound, { idempotencyKey: randomUUID() })
  const person = clientInput.parse({ email: 'anna', uuid: randomUUID(), subscriptionId: randomUUID() })
  const call = { idempotencyKey: randomUUID() }
  const [anna] = await it.node.operations['clients.add']({ id: 'in-1', clients: [person] }, call)
  await it.node.stop()
  it.db.close()
  return { dir: it.dir, link: anna?.links[0] ?? '' }
}

async function installAndDie(dir: string, version: string, step: InstallStep): Promise<void> {
  const child = spawn(process.execPath, [script, dir, programs, version, step], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
}

const again = (it: TestNode, version: string) =>
  it.node.operations['system.installXray']({ version }, { idempotencyKey: 'installation' })

test.each<[InstallStep, string, 'old' | 'new', string]>([
  // Nothing had begun: the same key carries it out.
  ['downloading', newer, 'old', 'nothing'],
  ['fetched', newer, 'old', 'nothing'],
  ['stopped', newer, 'old', 'forgotten'],
  ['started', newer, 'new', 'applied'],
  ['chosen', newer, 'new', 'applied'],
  ['rolling back', broken, 'old', 'forgotten'],
])(
  'a kill while an Xray is being installed (%s %s) leaves the %s one, whole, and serving',
  async (step, version, runs, outcome) => {
    const { dir, link } = await nodeWithClient()
    await installAndDie(dir, version, step)
    const it = await openTestNode(dir)
    ends.push(() => it.stop())
    const { operations } = it.node
    const expected = runs === 'new' ? version : present
    expect(await operations['server.health'](undefined, {})).toMatchObject({
      status: 'online',
      xrayVersion: expected,
    })
    const { versions } = await operations['xray.versions'](undefined, {})
    expect(versions).toContainEqual({ version: expected, running: true, chosen: true })
    expect(versions.filter(({ running, chosen }) => running || chosen)).toHaveLength(1)
    const processes = await findByArguments(['run', '-c', xrayPaths(join(dir, 'xray')).config])
    expect(processes).toHaveLength(1)
    const web = await startWebTarget()
    ends.push(() => web.stop())
    const app = await startXrayClient({ binary: xrayBinary(), link })
    ends.push(() => app.stop())
    expect((await app.get(web.pageUrl)).body).toBe(web.pageText)

    for (const home of readdirSync(join(dir, 'xray-bin'))) {
      expect(readdirSync(join(dir, 'xray-bin', home)), home).toEqual(['xray'])
    }
    const known = it.db.prepare("select status from applied_tasks where key = 'installation'").pluck().all()
    expect(known).toEqual(outcome === 'applied' ? ['applied'] : [])
    if (outcome === 'applied') {
      expect(await again(it, version)).toMatchObject({ version, before: present, running: true })
    }
    await it.restart()
    expect((await it.node.operations['xray.versions'](undefined, {})).versions).toContainEqual({
      version: expected,
      running: true,
      chosen: true,
    })
  },
  60_000,
)

test('a program that a power cut has torn is fetched anew', async () => {
  const program = await xrayOfVersion(newer)
  const it = await startTestNode({ download: releases({ [newer]: program }) })
  ends.push(() => it.stop())
  const home = join(it.dir, 'xray-bin', `xray-${newer}`)
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'xray'), program.subarray(0, 1_000_000))
  chmodSync(join(home, 'xray'), 0o755)
  expect(await again(it, newer)).toMatchObject({ version: newer, running: true })
})

test('half a program that a kill has left is no version, and goes', async () => {
  const { dir } = await nodeWithClient()
  const home = join(dir, 'xray-bin', 'xray-98.1.1')
  mkdirSync(join(home, 'new-abcdef'), { recursive: true })
  writeFileSync(join(home, 'new-abcdef', 'xray'), '\x7fELF')
  chmodSync(join(home, 'new-abcdef', 'xray'), 0o755)
  const it = await openTestNode(dir)
  ends.push(() => it.stop())
  expect(readdirSync(join(dir, 'xray-bin'))).toEqual([])
  expect((await it.node.operations['xray.versions'](undefined, {})).versions).toHaveLength(1)
})
