import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type CallContext,
  callNames,
  callOperation,
  operationMeta,
  type OperationInput,
  type OperationName,
  operationNames,
  type ServerConnector,
} from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import { defaultAcme } from '#src/node/certificates/acme/settings.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { errorOf } from '#test/support/event-node.ts'
import { kinds, openRoads, type Roads } from '#test/support/roads.ts'
import { makeTestChain } from '#test/support/test-chain.ts'
import { geoip, geosite, publish } from '#test/support/geo-data.ts'
import { createTestFleetCa, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { startTestNode, type TestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/xray-client.ts'

let trust: TestFleetCa
beforeAll(async () => {
  trust = await createTestFleetCa()
})
afterAll(() => trust.close())

const key = () => ({ context: { idempotencyKey: randomUUID() } })

const person = (email: string) => ({ email, uuid: randomUUID(), subscriptionId: randomUUID() })

const inboundInput = (tag: string, port: number) => ({
  tag,
  protocol: 'vless' as const,
  port,
  listen: '127.0.0.1',
  stream: { transport: { type: 'raw' as const }, security: { type: 'none' as const } },
})

describe('a real node', () => {
  let it: TestNode
  let roads: Roads
  let challengePort: number
  beforeAll(async () => {
    challengePort = await freePort()
    const acme = { ...defaultAcme, listen: '127.0.0.1', httpPort: challengePort }
    it = await startTestNode({
      node: { acme },
      download: publish(geoip('CN'), geosite('CN')).download,
    })
    roads = await openRoads(trust, it.node.operations)
  })
  afterAll(async () => {
    await roads.close()
    await it.stop()
  })

  describe.each(kinds)('by the %s connector', (kind) => {
    const tag = `in-${kind}`
    let server: ServerConnector
    beforeAll(() => {
      server = roads[kind]
    })

    test('answers every read', async () => {
      expect(await server.server.health()).toMatchObject({ status: 'online', xrayRunning: true })
      expect(await server.server.info()).toMatchObject({ agentVersion: '0.0.0-test' })
      expect((await server.xray.version()).version).toMatch(/^\d+\.\d+/)
      const stats = await server.system.stats()
      expect(stats).toMatchObject({
        cores: expect.toSatisfy((cores: number) => cores > 0) as number,
        connections: { xray: expect.toSatisfy((sockets: number) => sockets > 0) as number },
      })
      expect(Array.isArray(await server.system.logs({ source: 'xray', lines: 5 }))).toBe(true)
      const printed = { source: 'output' as const, lines: 5, contains: 'PENETRATES', level: 'error' as const }
      expect(await server.system.logs(printed)).toEqual([expect.stringMatching(/^Xray \d.*Penetrates/)])
      expect(await server.system.logs({ lines: 1_000, level: 'error' })).toEqual([])
      expect((await server.xray.config({ reveal: false })).config).toHaveProperty('inbounds')
      expect(await server.clients.online()).toEqual([])
      expect(await server.traffic.outbounds()).toBeInstanceOf(Array)
    })

    test('carries out a life of inbound and clients', async () => {
      const added = await server.inbounds.add(inboundInput(tag, await freePort()), key())
      expect(added).toMatchObject({ tag, enabled: true, rowVersion: 1 })
      const names = [`${kind} ann & co`, `${kind}%2e?#[x]`, `${kind} Аня 🙂`, `${kind}+plus=$&`]
      const clients = await server.clients.add({ id: tag, clients: names.map(person) }, key())
      expect(clients.map((client) => client.email)).toEqual(names)
      for (const email of names) {
        expect(await server.clients.update({ email, comment: `to ${email}` }, key())).toMatchObject({
          email,
          comment: `to ${email}`,
        })
        expect(await server.clients.resetTraffic({ email }, key())).toMatchObject({ email })
        expect(await server.clients.delete({ email }, key())).toEqual({ email })
      }
      expect((await server.inbounds.get({ id: String(added.id) })).clientCount).toBe(0)
      const renamed = await server.inbounds.update({ id: tag, remark: 'x', rowVersion: 1 }, key())
      expect(renamed).toMatchObject({ remark: 'x', rowVersion: 2 })
      expect(await server.inbounds.delete({ id: tag }, key())).toEqual({ id: added.id, tag })
    })

    test('a client may be called like a part of a path', async () => {
      await server.inbounds.add(inboundInput(tag, await freePort()), key())
      await server.clients.add({ id: tag, clients: [person('online')] }, key())
      expect(await server.clients.delete({ email: 'online' }, key())).toEqual({ email: 'online' })
      for (const email of ['.', '..', ' .. ']) {
        const error = await errorOf(server.clients.delete({ email }, key()))
        expect(error).toMatchObject({ code: 'BAD_INPUT', details: { field: 'email' } })
      }
      await server.inbounds.delete({ id: tag }, key())
    })

    test('a repeated key has one outcome, and the same answer; with other input it is a conflict', async () => {
      const input = inboundInput(tag, await freePort())
      const once = key()
      const first = await server.inbounds.add(input, once)
      expect(await server.inbounds.add(input, once)).toEqual(first)
      const error = await errorOf(server.inbounds.add({ ...input, remark: 'other' }, once))
      expect(error.code).toBe('IDEMPOTENCY_CONFLICT')
      await server.inbounds.delete({ id: tag }, key())
    })

    test('refuses with the node’s own codes and details', async () => {
      await server.inbounds.add(inboundInput(tag, await freePort()), key())
      const clients = await server.clients.add({ id: tag, clients: [person(`${kind}-bob`)] }, key())
      expect(clients).toHaveLength(1)
      expect(
        await errorOf(server.inbounds.update({ id: tag, remark: 'y', rowVersion: 9 }, key())),
      ).toMatchObject({ code: 'STALE_ROW_VERSION', retryable: false })
      expect(await errorOf(server.inbounds.get({ id: 'nothing' }))).toMatchObject({
        code: 'INBOUND_NOT_FOUND',
        details: { inbound: 'nothing' },
        message: 'There is no inbound nothing on this server.',
      })
      expect(await errorOf(server.clients.delete({ email: 'nobody' }, key()))).toMatchObject({
        code: 'CLIENT_NOT_FOUND',
        details: { email: 'nobody' },
      })
      await server.inbounds.delete({ id: tag }, key())
    })

    test('carries out a life of certificates', async () => {
      const domain = `${kind}.example.org`
      const once = key()
      // In capitals: it is found by one spelling.
      const generate = { domain: domain.toUpperCase(), method: 'self-signed' as const }
      const made = await server.certificates.generate(generate, once)
      expect(made).toMatchObject({ domain, kind: 'self-signed', daysLeft: 3_649, autoRenew: false })
      expect(await server.certificates.generate(generate, once)).toEqual(made)
      expect((await server.certificates.list()).find((each) => each.domain === domain)).toEqual(made)
      const renewed = await server.certificates.renew({ domain }, key())
      expect(renewed.sha256).not.toBe(made.sha256)

      const chain = await makeTestChain({ names: [{ type: 'dns', value: domain }] })
      const certificate = [chain.leaf, ...chain.issuers].join('')
      const imported = await server.certificates.import({ domain, certificate, key: chain.key }, key())
      expect(imported).toMatchObject({ kind: 'imported', issuer: 'Test Middle', createdAt: made.createdAt })
      expect(JSON.stringify(imported)).not.toContain('PRIVATE')
      const ofAnother = server.certificates.import(
        { domain: 'x.example.org', certificate, key: chain.key },
        key(),
      )
      expect(await errorOf(ofAnother)).toMatchObject({
        code: 'BAD_INPUT',
        details: { field: 'certificate', reason: `it is not for x.example.org but for ${domain}` },
      })
      expect(await errorOf(server.certificates.renew({ domain }, key()))).toMatchObject({
        code: 'CERTIFICATE_NOT_RENEWABLE',
      })
      expect(await server.certificates.delete({ domain }, key())).toEqual({ domain })
      expect(await errorOf(server.certificates.delete({ domain }, key()))).toMatchObject({
        code: 'CERTIFICATE_NOT_FOUND',
        details: { domain },
      })
    })

    test('holds a certificate for an IP address by one spelling', async () => {
      const spelled = await server.certificates.generate(
        { domain: '2001:DB8:0::7', method: 'self-signed' },
        key(),
      )
      expect(spelled.domain).toBe('2001:db8::7')
      expect(await server.certificates.delete({ domain: '2001:db8:0:0::7' }, key())).toEqual({
        domain: '2001:db8::7',
      })
    })

    test('says which inbound has the port that a challenge needs', async () => {
      await server.inbounds.add(inboundInput(tag, challengePort), key())
      const order = server.certificates.generate({ domain: 'a.example.org', method: 'http-01' }, key())
      expect(await errorOf(order)).toMatchObject({
        code: 'CHALLENGE_PORT_TAKEN',
        details: { port: challengePort, reason: `the inbound ${tag} uses it` },
      })
      await server.inbounds.delete({ id: tag }, key())
    })

    test('refuses what the contract does not allow', async () => {
      const bad = async (name: OperationName, input: object, field: string) => {
        const error = await errorOf(callOperation(server, name, input as never, key()))
        expect({ name, code: error.code, field: error.details['field'] }).toEqual({
          name,
          code: 'BAD_INPUT',
          field,
        })
      }
      await bad('inbounds.add', inboundInput('x', 99_999), 'port')
      await bad('inbounds.add', { ...inboundInput('x', 1), sockopt: {} }, 'input')
      await bad('inbounds.get', {}, 'id')
      await bad('clients.add', { id: 'x', clients: [{ email: 'a' }] }, 'clients.0.uuid')
      // It replaces the whole: said by nobody, nothing may be taken for all that is wanted.
      await bad('routing.set', {}, 'outbounds')
      await bad('system.logs', { source: 'shadow' }, 'source')
      await bad('system.logs', { contains: 'x'.repeat(201) }, 'contains')
      await bad('system.logs', { level: 'fatal' }, 'level')
      const versions = ['26.3', 'v26.3.27', '26.03.27', '26.3.27-rc1', '..', '1.2.3/../../x', '1.2.3\n', '']
      for (const version of versions) await bad('system.installXray', { version }, 'version')
      await bad('server.health', { verbose: 'true' }, 'verbose')
      const domains = ['*.example.org', 'localhost', 'a..b.org', '-a.org', '../../x.org', '10.0.0.256', '']
      for (const domain of domains) await bad('certificates.renew', { domain }, 'domain')
      const name = { domain: 'vpn.example.org' }
      await bad('certificates.generate', { ...name, method: 'dns-01' }, 'method')
      await bad('certificates.generate', { domain: '198.51.100.7', method: 'http-01' }, 'domain')
      await bad('certificates.generate', { ...name, method: 'http-01', email: 'nobody' }, 'email')
      await bad('certificates.generate', { ...name, method: 'http-01', days: 3 }, 'input')
      await bad('certificates.generate', { ...name, method: 'self-signed', days: 3_651 }, 'days')
      await bad('certificates.import', { ...name, certificate: 'x', key: '-----BEGIN K-----' }, 'certificate')
    })

    test('fetches geo files, and says what is wrong with an installation', async () => {
      const { files, restartNeeded } = await server.system.updateGeoFiles(undefined, key())
      expect(files).toMatchObject([{ name: 'geoip.dat' }, { name: 'geosite.dat' }])
      expect(restartNeeded).toBe(false)
      const once = key()
      const again = await server.system.updateGeoFiles(undefined, once)
      expect(again.files.map(({ status }) => status)).toEqual(['unchanged', 'unchanged'])
      expect(await server.system.updateGeoFiles(undefined, once)).toEqual(again)
      const { pinned, versions } = await server.xray.versions()
      expect([pinned, versions.filter(({ running, chosen }) => running && chosen).length]).toEqual([false, 1])
      expect(await errorOf(server.system.installXray({ version: '99.1.1' }, key()))).toMatchObject({
        code: 'DOWNLOAD_FAILED',
        details: { what: 'Xray 99.1.1', reason: 'there is no such file' },
      })
    })

    test('a write without a key is refused', async () => {
      const error = await errorOf(server.clients.delete({ email: 'nobody' }))
      expect(error.code).toBe('IDEMPOTENCY_KEY_REQUIRED')
    })
  })

  test('both give the same answers', async () => {
    const { local, remote } = roads
    await local.inbounds.add(inboundInput('both', await freePort()), key())
    await remote.clients.add({ id: 'both', clients: [person('anna'), person('boris')] }, key())
    const position = { epoch: '', since: 0, trafficSince: 0 }
    await local.certificates.generate({ domain: 'both.example.org', method: 'self-signed' }, key())
    expect(await remote.inbounds.list()).toEqual(await local.inbounds.list())
    expect(await remote.certificates.list()).toEqual(await local.certificates.list())
    expect(await remote.sync.changes(position)).toEqual(await local.sync.changes(position))
    expect(await remote.traffic.clients()).toEqual(await local.traffic.clients())
    expect(await remote.traffic.total()).toEqual(await local.traffic.total())
    expect(await remote.xray.config({ reveal: true })).toEqual(await local.xray.config({ reveal: true }))
  })
})

/** One well-formed input per operation; a new operation does not compile without one here. */
const samples: { [N in OperationName]: OperationInput<N> | undefined } = {
  'server.info': undefined,
  'server.health': undefined,
  'inbounds.list': undefined,
  'inbounds.get': { id: '7' },
  'inbounds.add': inboundInput('in', 443),
  'inbounds.update': { id: 'in', enabled: false, rowVersion: 3 },
  'inbounds.resetTraffic': { id: '7' },
  'inbounds.delete': { id: '7' },
  'clients.add': { id: 'in', clients: [person('a b'), { ...person('c'), flow: 'xtls-rprx-vision' }] },
  'clients.update': { email: 'Ä%2', enabled: true },
  'clients.delete': { email: 'a?b' },
  'clients.deleteMany': { emails: ['a', 'b'] },
  'clients.resetTraffic': { email: ' trimmed ' },
  'clients.addresses': { email: 'ann' },
  'clients.online': undefined,
  'routing.get': { reveal: true },
  'routing.set': {
    outbounds: [{ tag: 'up', protocol: 'socks', settings: { address: '192.0.2.1', port: 1080 } }],
    rules: [{ user: ['Ä%2'], outboundTag: 'up' }],
    rowVersion: 0,
  },
  'traffic.total': undefined,
  'traffic.clients': undefined,
  'traffic.outbounds': undefined,
  'traffic.days': { of: 'client', name: 'ann', days: 7 },
  'xray.start': undefined,
  'xray.stop': undefined,
  'xray.restart': undefined,
  'xray.version': undefined,
  'xray.versions': undefined,
  'xray.config': { reveal: true },
  'system.stats': undefined,
  'system.logs': { lines: 7, level: 'warning', contains: 'a&b=ü' },
  'certificates.list': undefined,
  'certificates.generate': { domain: 'vpn.example.org', method: 'tls-alpn-01', email: 'a@b.org' },
  'certificates.import': {
    domain: '2001:db8::7',
    certificate: '-----BEGIN C-----',
    key: '-----BEGIN K-----',
  },
  'certificates.renew': { domain: 'renew.example.org' },
  'certificates.delete': { domain: '198.51.100.7' },
  'system.tail': { source: 'output', level: 'warning', contains: 'x y', lines: 0 },
  'system.updateGeoFiles': undefined,
  'system.installXray': { version: '26.3.27' },
  'sync.changes': { epoch: 'e', since: 12 },
  'sync.events': { epoch: 'e', after: 3 },
}

describe('every operation', () => {
  const calls: { name: string; input: unknown; call: CallContext }[] = []
  // A node that remembers what reached it and refuses in its own words.
  const recorder = Object.fromEntries(
    operationNames().map((name) => [
      name,
      async (input: unknown, call: CallContext) => {
        calls.push({ name, input, call })
        throw new FleetError('XRAY_REFUSED', { reason: name })
      },
    ]),
  ) as unknown as NodeOperations
  let roads: Roads
  beforeAll(async () => {
    roads = await openRoads(trust, recorder)
  })
  afterAll(() => roads.close())

  test.each(callNames())('%s reaches the node alike on both roads', async (name) => {
    const context =
      operationMeta(name).kind === 'read' ? {} : { idempotencyKey: `key-of ${name}`.replace(' ', '-') }
    const errors: FleetError[] = []
    calls.length = 0
    for (const kind of kinds) {
      errors.push(await errorOf(callOperation(roads[kind], name, samples[name] as never, { context })))
    }
    expect(calls).toHaveLength(2)
    expect(calls[0]).toEqual({ ...calls[1], name })
    expect(calls[0]?.call).toEqual(context)
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'XRAY_REFUSED', details: { reason: name } })
    }
  })

  test('a failure nobody foresaw becomes INTERNAL with a trace, and its words stay on the server', async () => {
    const broken = await openRoads(trust, {
      ...recorder,
      'server.health': () => Promise.reject(new Error('secret words')),
      // An answer that is not what the contract promises.
      'inbounds.list': () => Promise.resolve([{ id: 'x' }] as never),
    })
    for (const kind of kinds) {
      for (const call of [() => broken[kind].server.health(), () => broken[kind].inbounds.list()]) {
        const error = await errorOf(call())
        expect(error.code).toBe('INTERNAL')
        expect(String(error.details['trace'])).toMatch(/^[\w-]{11}$/)
        expect(error.message).not.toContain('secret')
      }
    }
    await broken.close()
  })

  test('the caller may stop waiting', async () => {
    const hanging = await openRoads(trust, {
      ...recorder,
      'server.health': () => new Promise(() => undefined),
    })
    for (const kind of kinds) {
      const stop = new AbortController()
      const call = hanging[kind].server.health(undefined, { signal: stop.signal })
      stop.abort(new Error('enough'))
      await expect(call).rejects.toThrow('enough')
    }
    await hanging.close()
  })
})
