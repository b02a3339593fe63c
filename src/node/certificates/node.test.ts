import { randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { certificateFiles } from '#src/xray/certificate-files.ts'
import { type Pebble, startPebble } from '#test/support/pebble.ts'
import { type StandingClock, standingClock } from '#test/support/standing-order.ts'
import { startTestNode, type TestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/xray-client.ts'

const domain = 'node.example.org'
const key = () => ({ idempotencyKey: randomUUID() })

let pebble: Pebble
let it_: TestNode
let clock: StandingClock
/** ms the node's clock is ahead. */
let ahead: number
let soonDue: string[]

beforeAll(async () => {
  pebble = await startPebble()
})
afterAll(() => pebble.remove())
beforeEach(async () => {
  ahead = 0
  soonDue = []
  clock = standingClock({ ...systemRuntime(), now: () => Date.now() + ahead })
  it_ = await startTestNode({
    node: {
      acme: pebble.settings,
      runtime: clock,
      certificateIntervalMs: 50,
      onCertificateSoonDue: (name) => soonDue.push(name),
    },
  })
})
afterEach(() => it_.stop())

const list = () => it_.node.operations['certificates.list'](undefined, {})
const order = () => it_.node.operations['certificates.generate']({ domain, method: 'http-01' }, key())

it('a node renews its certificates by itself, also after a restart, and its files follow', async () => {
  const first = await order()
  const file = certificateFiles(join(it_.dir, 'xray'), domain).certificateFile
  const before = await readFile(file, 'utf8')
  await it_.node.stop()
  await rm(file)
  await it_.restart()
  expect(await readFile(file, 'utf8')).toBe(before)
  expect(await list()).toEqual([first])

  ahead = (first.nextTryAt ?? 0) - Date.now()
  await expect.poll(async () => (await list())[0]?.sha256, { timeout: 20_000 }).not.toBe(first.sha256)
  expect(await readFile(file, 'utf8')).not.toBe(before)
  const [second] = await list()
  expect(second).toMatchObject({ lastError: null, kind: 'acme' })
  expect(soonDue).toEqual([])
})

it('a node tells of a certificate nobody renews', async () => {
  await it_.node.operations['certificates.generate']({ domain, method: 'self-signed', days: 30 }, key())
  ahead = 26 * 24 * 60 * 60 * 1000
  await expect.poll(() => soonDue, { timeout: 20_000 }).toEqual([domain])
})

it('other changes do not wait for an order', async () => {
  const held = clock.hold(pebble)
  const ordering = order()
  await held.reached(domain)
  const inbound = await it_.node.operations['inbounds.add'](
    {
      tag: 'meanwhile',
      remark: '',
      protocol: 'vless',
      listen: '127.0.0.1',
      port: await freePort(),
      stream: { transport: { type: 'raw' }, security: { type: 'none' } },
      sniffing: { enabled: false, destOverride: [] },
      enabled: true,
    },
    key(),
  )
  expect(inbound.tag).toBe('meanwhile')
  expect(await list()).toEqual([])
  held.release()
  expect(await ordering).toMatchObject({ domain })
})
