import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import type { Download } from '#src/xray/programs/download.ts'
import { geoip, geosite, publish, sha256 } from '#test/support/geo-data.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/xray-client.ts'
import { createGeo } from './geo.ts'

let it: TestNode | undefined
afterEach(() => it?.stop())

const key = () => ({ idempotencyKey: randomUUID() })
const [ip, site] = [geoip('CN', 'PRIVATE'), geosite('CN', 'ADS')]

async function nodeWith(download: Download): Promise<TestNode> {
  it = await startTestNode({ download })
  return it
}

const assets = ({ dir }: TestNode): string => join(dir, 'xray', 'assets')
const updateOf = ({ node }: TestNode, call: { idempotencyKey?: string } = key()) =>
  node.operations['system.updateGeoFiles'](undefined, call)

test('new geo files are there for the next start of Xray, and no connection ends for them', async () => {
  const node = await nodeWith(publish(ip, site).download)
  const { operations } = node.node
  const before = await operations['xray.start'](undefined, key())
  expect(await updateOf(node)).toEqual({
    files: [
      { name: 'geoip.dat', status: 'updated', size: ip.length, sha256: sha256(ip) },
      { name: 'geosite.dat', status: 'updated', size: site.length, sha256: sha256(site) },
    ],
    restartNeeded: false,
  })
  expect(readdirSync(assets(node))).toEqual(['geoip.dat', 'geosite.dat'])
  expect(await operations['xray.start'](undefined, key())).toEqual(before)
  const environment = async (): Promise<string> => {
    const { pid } = await operations['xray.start'](undefined, key())
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  }
  expect(await environment()).not.toContain('XRAY_LOCATION_ASSET')
  await operations['xray.restart'](undefined, key())
  expect(await environment()).toContain(`XRAY_LOCATION_ASSET=${assets(node)}`)
  expect((await updateOf(node)).files.map(({ status }) => status)).toEqual(['unchanged', 'unchanged'])
})

test('while they are fetched all else goes on, and one key is carried out once', async () => {
  const published = publish(ip, site)
  const gate = Promise.withResolvers<void>()
  const node = await nodeWith(async (url) => {
    await gate.promise
    return published.download(url)
  })
  const { operations } = node.node
  const once = key()
  const both = [updateOf(node, once), updateOf(node, once)]
  const inbound = inboundInput.parse({
    tag: 'in-1',
    protocol: 'vless',
    port: await freePort(),
    listen: '127.0.0.1',
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
  })
  await operations['inbounds.add'](inbound, key())
  const person = { email: 'anna', uuid: randomUUID(), subscriptionId: randomUUID() }
  await operations['clients.add']({ id: 'in-1', clients: [clientInput.parse(person)] }, key())
  gate.resolve()
  const [first, second] = await Promise.all(both)
  expect(second).toEqual(first)
  expect(published.asked.filter((name) => name === 'geoip.dat')).toHaveLength(1)
  expect(await updateOf(node, once)).toEqual(first)
  await expect(operations['system.installXray']({ version: '1.2.3' }, once)).rejects.toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
  })
  await expect(updateOf(node, {})).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REQUIRED' })
})

test('a refusal is its key’s outcome, and leaves nothing', async () => {
  let published = publish(Buffer.from('<html>'), site)
  const node = await nodeWith((url) => published.download(url))
  const once = key()
  await expect(updateOf(node, once)).rejects.toMatchObject({ code: 'GEO_FILES_REFUSED' })
  expect(readdirSync(assets(node))).toEqual([])
  published = publish(ip, site)
  await expect(updateOf(node, once)).rejects.toMatchObject({ code: 'GEO_FILES_REFUSED' })
  expect((await updateOf(node)).files[0]?.status).toBe('updated')
})

test('a start finds out what became of an update that a kill interrupted', async () => {
  const node = await nodeWith(publish(ip, site).download)
  const interrupted = (name: string) => {
    const files = [
      { name: 'geoip.dat', status: 'updated', size: ip.length, sha256: sha256(ip) },
      { name: 'geosite.dat', status: 'updated', size: site.length, sha256: sha256(site) },
    ]
    const command = { operation: 'system.updateGeoFiles', xrayBefore: null, target: { files } }
    const nothing = { scope: { inbounds: [], clients: [] }, inbounds: [], clients: [], placements: [] }
    const undo = { ...nothing, clientTraffics: [], inboundTraffics: [], command }
    node.db
      .prepare(
        `insert into applied_tasks (key, operation, input_hash, status, undo, created_at)
         values (?, 'system.updateGeoFiles', 'x', 'applying', ?, 0)`,
      )
      .run(name, JSON.stringify(undo))
  }
  const status = (name: string): unknown =>
    node.db.prepare('select status from applied_tasks where key = ?').pluck().get(name)
  mkdirSync(join(assets(node), 'fleetgram-new-abc'), { recursive: true })
  writeFileSync(join(assets(node), 'geoip.dat'), ip)
  interrupted('half')
  await node.restart()
  expect(status('half')).toBe('failed')
  expect(readdirSync(assets(node))).toEqual(['geoip.dat'])
  writeFileSync(join(assets(node), 'geosite.dat'), site)
  interrupted('whole')
  await node.restart()
  expect(status('whole')).toBe('applied')
})

test('a restart is needed by an Xray that uses them and has run since before they changed', () => {
  let life: string | null = 'one'
  let changedUnder: string | null = 'one'
  let routing: object = { rules: [{ ip: ['geoip:cn'] }] }
  const { kinds } = createGeo({
    xray: { fetchGeoFiles: () => Promise.reject(new Error()), geoFileHash: async () => null },
    engine: { state: () => ({ startedAt: life }), config: () => ({ routing }) },
    commands: {} as never,
    settings: { geoChangedUnder: () => changedUnder, setGeoChangedUnder: () => undefined },
  })
  const isNeeded = (): unknown =>
    kinds['system.updateGeoFiles'].answer({ operation: '', xrayBefore: null, target: { files: [] } })
  expect(isNeeded()).toEqual({ files: [], restartNeeded: true })
  routing = {}
  expect(isNeeded()).toEqual({ files: [], restartNeeded: false })
  routing = { rules: [{ domain: ['geosite:ads'] }] }
  expect(isNeeded()).toEqual({ files: [], restartNeeded: true })
  life = 'another'
  expect(isNeeded()).toEqual({ files: [], restartNeeded: false })
  changedUnder = null
  life = null
  expect(isNeeded()).toEqual({ files: [], restartNeeded: false })
})
