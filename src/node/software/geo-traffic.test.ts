/** Rules by lists that were fetched, given to a running Xray: the traffic of a real client is decided by them. */
import { randomUUID } from 'node:crypto'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { clientInput, contract, inboundInput, type OperationInput } from '#src/contract/index.ts'
import { closesAfterEach } from '#test/support/closing.ts'
import { geoip, geositeOf, publish } from '#test/support/geo-data.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort, startWebTarget, startXrayClient } from '#test/support/xray-client.ts'

const closes = closesAfterEach()
const key = () => ({ idempotencyKey: randomUUID() })
const plain = { transport: { type: 'raw' as const }, security: { type: 'none' as const } }
const second = { tag: 'second', protocol: 'freedom' as const, sendThrough: '127.0.0.5' }
const byList = { outbounds: [second], rules: [{ domain: ['geosite:ads'], outboundTag: 'second' }] }

function set(it: TestNode, given: Partial<OperationInput<'routing.set'>>) {
  const input = contract.routing.set['~orpc'].inputSchema?.parse({ outbounds: [], rules: [], ...given })
  return it.node.operations['routing.set'](input as never, key())
}
const inboundCalled = async (tag: string, more = {}) =>
  inboundInput.parse({
    tag,
    protocol: 'vless',
    port: await freePort(),
    listen: '127.0.0.1',
    stream: plain,
    ...more,
  })

/** A node whose published list `ads` names localhost, and where a client of it comes from there. */
async function house(binary?: string) {
  const log: string[] = []
  const it = await startTestNode({
    ...(binary !== undefined && { binary }),
    download: publish(geoip('CN'), geositeOf({ ADS: 'localhost' })).download,
    log: { info: () => {}, warn: () => {}, error: (_: unknown, said: string) => log.push(said) } as never,
  })
  closes({ close: () => it.stop() })
  const { operations } = it.node
  await operations['inbounds.add'](await inboundCalled('in-1'), key())
  const person = clientInput.parse({ email: 'anna', uuid: randomUUID(), subscriptionId: randomUUID() })
  const [added] = await operations['clients.add']({ id: 'in-1', clients: [person] }, key())
  const [web, anna] = await Promise.all([
    startWebTarget(),
    startXrayClient({ binary: xrayBinary(), link: added?.links[0] ?? '' }),
  ])
  closes({ close: () => Promise.all([web.stop(), anna.stop()]) })
  const from = async (host: string) => (await anna.get(web.fromUrl.replace('127.0.0.1', host))).body
  return { it, log, from, pid: async () => (await it.node.operations['xray.start'](undefined, key())).pid }
}

test('a rule by a fetched list decides at once, and other changes and a return of ours go on with it', async () => {
  const { it, log, from, pid } = await house()
  const before = await pid()
  await expect(set(it, byList)).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
  await it.node.operations['system.updateGeoFiles'](undefined, key())
  expect((await set(it, byList)).applied.how).toBe('hot')
  expect([await from('localhost'), await from('127.0.0.1')]).toEqual(['127.0.0.5', '127.0.0.1'])

  const target = { target: '127.0.0.1:9' }
  const tunnel = await inboundCalled('forward', { protocol: 'tunnel', settings: target, stream: undefined })
  await it.node.operations['inbounds.add'](tunnel, key())
  await it.restart()
  expect(log).toEqual([])
  expect(await pid()).toBe(before)
  expect(await from('localhost')).toBe('127.0.0.5')
})

test('a change and a start of Xray read the same lists, also where Xray has some of its own', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'own-lists-'))
  closes({ close: () => rm(dir, { recursive: true, force: true }) })
  await copyFile(xrayBinary(), join(dir, 'xray'))
  await writeFile(join(dir, 'geosite.dat'), geositeOf({ ADS: '127.0.0.1.example' }))
  await writeFile(join(dir, 'geoip.dat'), geoip('CN'))
  const { it, from } = await house(join(dir, 'xray'))
  await set(it, byList)
  expect(await from('localhost')).toBe('127.0.0.1')

  await it.node.operations['system.updateGeoFiles'](undefined, key())
  await set(it, { ...byList, rules: [...byList.rules, { user: ['nobody'], outboundTag: 'second' }] })
  expect(await from('localhost')).toBe('127.0.0.5')
  await it.node.operations['xray.restart'](undefined, key())
  expect(await from('localhost')).toBe('127.0.0.5')
})
