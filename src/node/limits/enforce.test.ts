import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ClientInput, clientInput, inboundInput } from '#src/contract/index.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** What is promised: refused so soon after a limit is reached. */
const WITHIN = { timeout: 15_000, interval: 100 }

let node: TestNode
let web: WebTarget
let apps: XrayClient[]

beforeEach(async () => {
  web = await startWebTarget()
  apps = []
  await begin()
})

async function begin(options: Parameters<typeof startTestNode>[0] = {}): Promise<void> {
  node = await startTestNode(options)
  await operations()['inbounds.add'](
    inboundInput.parse({
      tag: 'in-1',
      protocol: 'vless',
      port: await freePort(),
      listen: '127.0.0.1',
      stream: { transport: { type: 'raw' }, security: { type: 'none' } },
    }),
    key(),
  )
}

afterEach(async () => {
  await Promise.all(apps.map((app) => app.stop()))
  await node.stop()
  await web.stop()
})

const key = () => ({ idempotencyKey: randomUUID() })
const operations = () => node.node.operations

async function add(email: string, limits: Partial<ClientInput> = {}) {
  const given = clientInput.parse({
    email,
    uuid: randomUUID(),
    subscriptionId: randomUUID(),
    flow: '',
    ...limits,
  })
  const [client] = await operations()['clients.add']({ id: 'in-1', clients: [given] }, key())
  return client?.links[0] ?? ''
}

async function open(link: string, localAddress?: string): Promise<XrayClient> {
  const app = await startXrayClient({ binary: xrayBinary(), link, localAddress })
  apps.push(app)
  return app
}

const load = (app: XrayClient) => app.get(web.pageUrl).then(({ status }) => status)
const refused = (app: XrayClient) =>
  expect
    .poll(
      () =>
        load(app).then(
          () => false,
          () => true,
        ),
      WITHIN,
    )
    .toBe(true)
const served = (app: XrayClient) => expect.poll(() => load(app).catch(() => 0), WITHIN).toBe(200)
const mirrored = async (email: string) => {
  const all = await operations()['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
  return all.clients.find((client) => client.email === email)
}
const pid = async () => (await operations()['xray.start'](undefined, key())).pid

describe('limits, kept by a node with a real Xray', () => {
  test('who has used up what is theirs is refused, nobody else is touched, and more lets them in at once', async () => {
    const before = await pid()
    const anna = await open(await add('anna', { limitBytes: 300_000 }))
    const bert = await open(await add('bert'))
    const going = bert.download(web.downloadUrl({ bytes: 4_000_000, rate: 400_000 }))
    await expect.poll(() => going.received()).toBeGreaterThan(0)
    const since = (await operations()['server.health'](undefined, {})).changeSeq

    expect(await anna.download(web.downloadUrl({ bytes: 400_000, rate: 4_000_000 })).finished).toMatchObject({
      complete: true,
    })
    await refused(anna)
    expect(await mirrored('anna')).toMatchObject({ blocked: 'traffic', startedAt: expect.any(Number) })
    expect((await operations()['server.health'](undefined, {})).changeSeq).toBeGreaterThan(since)
    // It is an edit of nobody: who is about to edit is not refused for it.
    await operations()['clients.update'](
      { email: 'anna', rowVersion: 1, limitBytes: 900_000_000, comment: 'more' },
      key(),
    )
    await served(anna)
    expect(await load(bert)).toBe(200)
    expect(await going.finished).toEqual({ bytes: 4_000_000, complete: true })
    expect(await pid()).toBe(before)

    await operations()['clients.update']({ email: 'anna', limitBytes: 100_000 }, key())
    await refused(anna)
    await operations()['clients.resetTraffic']({ email: 'anna' }, key())
    expect(await load(anna)).toBe(200)
    expect(node.events.filter((event) => event.name === 'anna').map((event) => event.type)).toEqual([
      'limitReached',
      'restored',
      'limitReached',
      'restored',
    ])
  })

  test('who has come to the end is refused, also after a restart of ours; days begin with the first use', async () => {
    const anna = await open(await add('anna', { expiresAt: Date.now() + 2_000 }))
    expect(await load(anna)).toBe(200)
    await refused(anna)
    expect(await mirrored('anna')).toMatchObject({ blocked: 'expired' })
    await node.restart()
    await expect(load(anna)).rejects.toThrow()

    const bert = await open(await add('bert', { lastsDays: 1 }))
    expect(await mirrored('bert')).toMatchObject({ startedAt: null, expiresAt: null })
    expect(await load(bert)).toBe(200)
    await expect
      .poll(async () => (await mirrored('bert'))?.expiresAt, WITHIN)
      .toEqual(expect.closeTo(Date.now() + DAY_MS, -5))

    await operations()['clients.update']({ email: 'anna', expiresAt: Date.now() + DAY_MS }, key())
    await served(anna)
  })

  test('an inbound that has reached its own limit is closed, and opened again by a reset', async () => {
    const anna = await open(await add('anna'))
    await operations()['inbounds.update']({ id: 'in-1', limitBytes: 200_000 }, key())
    await anna.download(web.downloadUrl({ bytes: 300_000, rate: 4_000_000 })).finished
    await refused(anna)
    expect(await operations()['inbounds.get']({ id: 'in-1' }, {})).toMatchObject({
      blocked: 'traffic',
      enabled: true,
    })
    await operations()['inbounds.resetTraffic']({ id: 'in-1' }, key())
    await served(anna)
    await operations()['inbounds.update']({ id: 'in-1', expiresAt: Date.now() }, key())
    await refused(anna)
    await operations()['inbounds.update']({ id: 'in-1', expiresAt: null }, key())
    await served(anna)
  })

  test('who comes from too many addresses gets nothing new until fewer are connected', async () => {
    const link = await add('anna', { ipLimit: 1 })
    const [home, away] = [await open(link, '127.0.0.9'), await open(link, '127.0.0.10')]
    const atHome = home.download(web.downloadUrl({ bytes: 100_000_000, rate: 100_000 }))
    await expect.poll(() => atHome.received(), WITHIN).toBeGreaterThan(0)
    expect(await load(home)).toBe(200)
    const elsewhere = away.download(web.downloadUrl({ bytes: 100_000_000, rate: 100_000 }))
    await expect.poll(async () => (await mirrored('anna'))?.blocked, WITHIN).toBe('addresses')
    await refused(home)
    await refused(away)
    expect(elsewhere.received()).toBeGreaterThan(0)
    elsewhere.cancel()
    await served(home)
    expect(await mirrored('anna')).toMatchObject({ blocked: null })
    atHome.cancel()

    const seen = await operations()['clients.addresses']({ email: 'anna' }, {})
    expect(seen.map(({ address }) => address).toSorted()).toEqual(['127.0.0.10', '127.0.0.9'])
  })

  test('as it is set in the product: within 15 s, whoever begins just after a look', async () => {
    await node.stop()
    await begin({ node: { accountingIntervalMs: undefined } })
    const anna = await open(await add('anna', { limitBytes: 300_000 }))
    const bert = await open(await add('bert', { lastsDays: 1 }))
    // A look has just been taken.
    await load(bert)
    await expect.poll(async () => (await mirrored('bert'))?.startedAt, WITHIN).not.toBe(null)
    await anna.download(web.downloadUrl({ bytes: 400_000, rate: 4_000_000 })).finished
    await operations()['clients.update']({ email: 'bert', expiresAt: Date.now() + 1_000 }, key())
    const began = performance.now()
    expect(await load(anna)).toBe(200)
    await Promise.all([refused(anna), refused(bert)])
    const took = performance.now() - began
    expect(took).toBeGreaterThan(5_000)
    expect(took).toBeLessThan(15_000)
  }, 60_000)
})
