import { randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { systemRuntime } from '#src/runtime.ts'
import { certificateFiles } from '#src/xray/config/certificate-files.ts'
import { type Pebble, startPebble } from '#test/support/pebble.ts'
import { type StandingClock, standingClock } from '#test/support/standing-order.ts'
import { startTestNode, type TestNode } from '#test/support/test-node.ts'
import { fetchPage, freePort, startWebTarget } from '#test/support/xray-client.ts'

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
  // The rows come first, and the file at once after them.
  await expect.poll(() => readFile(file, 'utf8'), { timeout: 10_000 }).not.toBe(before)
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
  const held = clock.hold(pebble, it_.db)
  const ordering = order()
  await held.reached(domain)
  const inbound = await it_.node.operations['inbounds.add'](
    inboundInput.parse({
      tag: 'meanwhile',
      protocol: 'vless',
      listen: '127.0.0.1',
      port: await freePort(),
      stream: { transport: { type: 'raw' }, security: { type: 'none' } },
    }),
    key(),
  )
  expect(inbound.tag).toBe('meanwhile')
  expect(await list()).toEqual([])
  held.release()
  expect(await ordering).toMatchObject({ domain })
})

it('what links pin follows a certificate that vouches for itself', async () => {
  const { operations } = it_.node
  const add = (tls: object) =>
    inboundInput.parse({
      tag: 'tls',
      protocol: 'vless',
      listen: '127.0.0.1',
      port,
      stream: { transport: { type: 'raw' }, security: { type: 'tls', serverName: domain, ...tls } },
    })
  const port = await freePort()
  const held = { certificate: { source: 'store', domain } }
  await expect(operations['inbounds.add'](add(held), key())).rejects.toMatchObject({
    code: 'CERTIFICATE_NOT_FOUND',
    details: { domain },
  })
  const selfSigned = { domain, method: 'self-signed', days: 30 } as const
  const first = await operations['certificates.generate'](selfSigned, key())
  const inbound = await operations['inbounds.add'](add(held), key())
  const person = { email: 'anna', uuid: randomUUID(), subscriptionId: randomUUID() }
  const [anna] = await operations['clients.add']({ id: 'tls', clients: [clientInput.parse(person)] }, key())
  expect(anna?.links[0]).toContain(`pcs=${first.sha256}`)

  const second = await operations['certificates.generate'](selfSigned, key())
  expect(second.sha256).not.toBe(first.sha256)
  const changed = await operations['inbounds.get']({ id: 'tls' }, {})
  expect(changed.stream.security).toMatchObject({ pin: second.sha256 })
  expect(changed.rowVersion).toBe(inbound.rowVersion + 1)
  await expect(operations['certificates.delete']({ domain }, key())).rejects.toMatchObject({
    code: 'CERTIFICATE_IN_USE',
  })

  // Shown at once, so that there is no time in which no link opens it.
  const web = await startWebTarget()
  const linkNow = async () =>
    (await operations['clients.update']({ email: 'anna', comment: randomUUID() }, key())).links[0] ?? ''
  const old = await linkNow()
  expect(await fetchPage(old, web.pageUrl)).toBe(web.pageText)
  const renewed = await operations['certificates.renew']({ domain }, key())
  const link = await linkNow()
  expect(link).toContain(`pcs=${renewed.sha256}`)
  expect(await fetchPage(link, web.pageUrl)).toBe(web.pageText)
  await expect(fetchPage(old, web.pageUrl)).rejects.toThrow()
  await web.stop()

  // One that an authority vouches for needs no pin.
  await operations['certificates.generate']({ domain, method: 'http-01' }, key())
  const trusted = await operations['inbounds.get']({ id: 'tls' }, {})
  expect(trusted.stream.security).toMatchObject({ pin: null })
})
