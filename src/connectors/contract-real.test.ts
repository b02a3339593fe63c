/**
 * A server's whole life by either connector, and on an agent as it is shipped: every operation is carried out, by a real
 * Xray, with traffic of a real client, and by a real certificate authority. What carries a file is in
 * backups-real.test.ts.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  callNames,
  callOperation,
  operationMeta,
  type OperationInput,
  type OperationName,
  type OperationOutput,
  type ServerConnector,
} from '#src/contract/index.ts'
import { nextEvent } from '#test/support/event-node.ts'
import { geoip, geositeOf, publish } from '#test/support/geo-data.ts'
import { person, plainInput } from '#test/support/inputs.ts'
import { type Pebble, startPebble } from '#test/support/pebble.ts'
import { startInternet } from '#test/support/internet.ts'
import { kinds, openRoads } from '#test/support/roads.ts'
import { startShippedAgent } from '#test/support/shipped-agent.ts'
import { makeTestChain } from '#test/support/test-chain.ts'
import { createTestFleetCa, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { releases, xrayOfVersion } from '#test/support/xray-release.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'

const newer = '99.1.2'
const appAddress = '127.0.0.77'

let trust: TestFleetCa
let pebble: Pebble
let web: WebTarget
let program: Buffer
beforeAll(async () => {
  ;[trust, pebble, web, program] = await Promise.all([
    createTestFleetCa(),
    startPebble(),
    startWebTarget(),
    xrayOfVersion(newer),
  ])
})
afterAll(() => Promise.all([trust.close(), pebble.remove(), web.stop()]))

interface Way {
  server: ServerConnector
  /** What its program has said, where it is one. */
  output?: () => string
  close(): Promise<void>
}

/** What is published, for who asks by name. */
function published(url: string): Promise<Buffer> {
  const lists = publish(geoip('CN'), geositeOf({ ADS: 'localhost' })).download
  return (url.includes('Xray-linux') ? releases({ [newer]: program }) : lists)(url)
}

/** To a node in this process. */
async function nearby(kind: (typeof kinds)[number]): Promise<Way> {
  const it = await startTestNode({ node: { acme: pebble.settings }, download: published })
  const roads = await openRoads(trust, it.node.operations)
  return {
    server: roads[kind],
    async close() {
      await roads.close()
      await it.stop()
    },
  }
}

async function shipped(): Promise<Way> {
  const dir = await mkdtemp(join(tmpdir(), 'internet-'))
  const internet = await startInternet(dir, published)
  const { directory, caFile = '', listen = '', httpPort, tlsPort } = pebble.settings
  const agent = await startShippedAgent(trust, 3, {
    ...internet.env,
    FLEETGRAM_AGENT_ACME_DIRECTORY: directory,
    FLEETGRAM_AGENT_ACME_CA_FILE: caFile,
    FLEETGRAM_AGENT_ACME_LISTEN: listen,
    FLEETGRAM_AGENT_ACME_HTTP_PORT: String(httpPort),
    FLEETGRAM_AGENT_ACME_TLS_PORT: String(tlsPort),
  })
  return {
    server: agent.connection,
    output: () => agent.output(),
    async close() {
      await agent.stop()
      await internet.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

const ways = [
  ...kinds.map((kind) => ({ kind, name: `by the ${kind} connector`, open: () => nearby(kind) })),
  { kind: 'shipped', name: 'of an agent as it is shipped', open: shipped },
]

describe.each(ways)('a server, $name', ({ kind, open }) => {
  let way: Way
  let anna: XrayClient | undefined
  const answered = new Set<OperationName>()

  async function ask<N extends OperationName>(
    name: N,
    ...[input]: undefined extends OperationInput<N> ? [input?: OperationInput<N>] : [input: OperationInput<N>]
  ): Promise<OperationOutput<N>> {
    const context = operationMeta(name).kind === 'read' ? {} : { idempotencyKey: randomUUID() }
    const answer = await callOperation(way.server, name, input as OperationInput<N>, { context })
    answered.add(name)
    return answer
  }
  // What is shipped reads counters every ten seconds.
  const soon = { timeout: 25_000 }
  const from = async (host = '127.0.0.1') => (await anna?.get(web.fromUrl.replace('127.0.0.1', host)))?.body

  beforeAll(async () => {
    way = await open()
  })
  afterAll(async () => {
    await anna?.stop()
    await way.close()
  })

  test('a server tells what it is', async () => {
    expect(await ask('server.info')).toMatchObject({
      agentVersion: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    })
    expect(await ask('server.health')).toMatchObject({ status: 'online', xrayRunning: true })
    expect((await ask('system.stats')).cores).toBeGreaterThan(0)
    expect(await ask('system.logs', { source: 'output', lines: 5 })).toEqual(
      expect.arrayContaining([expect.stringMatching(/^Xray \d/)]),
    )
    const tail = await ask('system.tail', { source: 'output', lines: 5 })
    const said = await tail.next()
    expect(said.done === true ? [] : said.value.lines).toContainEqual(expect.stringMatching(/^Xray \d/))
    await tail.return?.(undefined)
    const events = await ask('sync.events', {})
    expect(await nextEvent(events)).toMatchObject({ type: 'beat' })
    await events.return?.(undefined)
  })

  test('clients come in, are seen and counted', async () => {
    const port = await freePort()
    const added = await ask('inbounds.add', plainInput('main', port))
    const [client] = await ask('clients.add', { id: 'main', clients: [person('anna')] })
    expect(await ask('inbounds.list')).toMatchObject([{ id: added.id, clientCount: 1 }])
    const link = client?.links[0] ?? ''
    anna = await startXrayClient({ binary: xrayBinary(), link, localAddress: appAddress })
    const download = anna.download(web.downloadUrl({ bytes: 50_000_000, rate: 100_000 }))
    await expect
      .poll(() => ask('clients.online'), soon)
      .toEqual([{ email: 'anna', since: expect.any(Number) as number, addresses: [appAddress] }])
    await expect
      .poll(
        async () => (await ask('clients.addresses', { email: 'anna' })).map(({ address }) => address),
        soon,
      )
      .toEqual([appAddress])
    const counted = async () =>
      (await ask('traffic.clients')).find(({ email }) => email === 'anna')?.down ?? 0
    await expect.poll(counted, soon).toBeGreaterThan(50_000)
    for (const of of [{}, { of: 'client' as const, name: 'anna' }]) {
      const [day] = await ask('traffic.days', of)
      expect(day).toMatchObject({ day: new Date().toISOString().slice(0, 10) })
      expect(day?.down).toBeGreaterThan(50_000)
    }
    expect((await ask('traffic.total')).down).toBeGreaterThan(50_000)
    expect((await ask('traffic.outbounds')).find(({ tag }) => tag === 'direct')?.down).toBeGreaterThan(50_000)
    download.cancel()
    await download.finished
  })

  test('counts begin anew, and nothing of a lifetime is lost', async () => {
    const before = await ask('inbounds.get', { id: 'main' })
    expect(before.used).toBeGreaterThan(50_000)
    const after = await ask('inbounds.resetTraffic', { id: 'main' })
    expect(after.used).toBeLessThan(before.used)
    expect(after.down).toBeGreaterThanOrEqual(before.down)
    expect((await ask('clients.resetTraffic', { email: 'anna' })).down).toBeLessThan(50_000)
    expect((await ask('traffic.clients'))[0]?.down).toBeGreaterThan(50_000)
  })

  test('clients change, and go one by one or many at once', async () => {
    expect(await ask('clients.update', { email: 'anna', comment: 'x' })).toMatchObject({ comment: 'x' })
    const added = await ask('clients.add', { id: 'main', clients: ['b', 'c', 'd'].map(person) })
    const bert = await startXrayClient({ binary: xrayBinary(), link: added[0]?.links[0] ?? '' })
    expect((await bert.get(web.pageUrl)).body).toBe(web.pageText)
    expect(await ask('clients.deleteMany', { emails: ['b', 'C', 'nobody'] })).toEqual({ emails: ['b', 'c'] })
    await expect(bert.get(web.pageUrl)).rejects.toThrow()
    await bert.stop()
    expect(await ask('clients.delete', { email: 'd' })).toEqual({ email: 'd' })
    const changes = await ask('sync.changes', { epoch: '', since: 0, trafficSince: 0 })
    expect(changes.clients.map(({ email }) => email)).toEqual(['anna'])
  })

  test('rules lead the way out, by a list that was fetched too', async () => {
    expect(await ask('routing.get', {})).toMatchObject({ rules: [], rowVersion: 0 })
    expect((await ask('system.updateGeoFiles')).restartNeeded).toBe(false)
    const out = { tag: 'out', protocol: 'freedom' as const, sendThrough: '127.0.0.5' }
    const given = {
      outbounds: [out],
      rules: [{ domain: ['geosite:ads'], outboundTag: 'out' }],
      rowVersion: 0,
    }
    expect(await ask('routing.set', given)).toMatchObject({ rowVersion: 1, applied: { how: 'hot' } })
    expect([await from('localhost'), await from()]).toEqual(['127.0.0.5', '127.0.0.1'])
    expect(await ask('routing.get', { reveal: true })).toMatchObject({ outbounds: [out], rowVersion: 1 })
  })

  test('an inbound changes and goes', async () => {
    await ask('inbounds.add', plainInput('spare', await freePort()))
    expect(await ask('inbounds.update', { id: 'spare', remark: 'x' })).toMatchObject({ remark: 'x' })
    expect(await ask('inbounds.delete', { id: 'spare' })).toMatchObject({ tag: 'spare' })
  })

  test('certificates are got from an authority by either proof, made, imported and renewed', async () => {
    for (const method of ['http-01', 'tls-alpn-01'] as const) {
      const domain = `${method}.${kind}.example.org`
      const made = await ask('certificates.generate', { domain, method })
      expect(made).toMatchObject({ kind: 'acme', challenge: method, autoRenew: true, lastError: null })
      const renewed = await ask('certificates.renew', { domain })
      expect(renewed).toMatchObject({ kind: 'acme', challenge: method, createdAt: made.createdAt })
      expect(renewed.sha256).not.toBe(made.sha256)
    }
    const domain = `${kind}.example.org`
    expect(await ask('certificates.generate', { domain, method: 'self-signed' })).toMatchObject({ domain })
    const chain = await makeTestChain({ names: [{ type: 'dns', value: domain }] })
    const certificate = [chain.leaf, ...chain.issuers].join('')
    const imported = await ask('certificates.import', { domain, certificate, key: chain.key })
    expect(imported.kind).toBe('imported')
    expect((await ask('certificates.list')).map((each) => each.kind)).toEqual(
      expect.arrayContaining(['acme', 'acme', 'imported']),
    )
    expect(await ask('certificates.delete', { domain })).toEqual({ domain })
  })

  test('Xray is stopped, started, and another one installed; clients are served as before', async () => {
    expect(await ask('xray.stop')).toMatchObject({ running: false })
    await expect(from()).rejects.toThrow()
    const first = await ask('xray.start')
    const second = await ask('xray.restart')
    expect(second.pid).not.toBe(first.pid)
    expect((await ask('xray.config', { reveal: false })).config).toHaveProperty('inbounds')
    expect(await ask('system.installXray', { version: newer })).toMatchObject({ version: newer })
    expect((await ask('xray.version')).version).toBe(newer)
    expect((await ask('xray.versions')).versions).toContainEqual({
      version: newer,
      running: true,
      chosen: true,
    })
    expect(await from('localhost')).toBe('127.0.0.5')
  })

  test('no operation was left out', () => {
    expect([...answered].toSorted()).toEqual(callNames().toSorted())
    expect(way.output?.() ?? '').not.toMatch(/warning/i)
  })
})
