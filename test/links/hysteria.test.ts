/** What Xray does with Hysteria 2 that an admin must know. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { shareLink } from '#src/xray/config/links.ts'
import { freePort } from '#test/support/client-process.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'
import { hysteriaInbound, startXrayServer } from '#test/support/xray-server.ts'

const call = () => ({ idempotencyKey: randomUUID() })
const person = (email: string) =>
  clientInput.parse({ email, uuid: randomUUID(), subscriptionId: randomUUID() })
const hysteria = async (tag: string) =>
  inboundInput.parse({
    tag,
    protocol: 'hysteria2',
    port: await freePort(),
    listen: '127.0.0.1',
    stream: { transport: { type: 'hysteria' }, security: { type: 'tls', serverName: 'vpn.example' } },
  })
const wireguard = async () =>
  inboundInput.parse({ tag: 'wg', protocol: 'wireguard', port: await freePort(), listen: '127.0.0.1' })

let it: TestNode
let web: WebTarget

beforeAll(async () => {
  it = await startTestNode()
  web = await startWebTarget()
})
afterAll(async () => {
  await it.stop()
  await web.stop()
})

async function withClient<T>(tag: string, email: string, use: (app: XrayClient) => Promise<T>): Promise<T> {
  const { operations } = it.node
  await operations['inbounds.add'](await hysteria(tag), call())
  const [client] = await operations['clients.add']({ id: tag, clients: [person(email)] }, call())
  const app = await startXrayClient({ binary: xrayBinary(), link: client?.links[0] ?? '' })
  try {
    return await use(app)
  } finally {
    await app.stop()
  }
}

test('a client who is deleted stays for as long as its app keeps the connection, and no longer', async () => {
  await withClient('one', 'ann', async (app) => {
    expect((await app.get(web.pageUrl)).status).toBe(200)
    await it.node.operations['clients.delete']({ email: 'ann' }, call())
    expect((await app.get(web.pageUrl)).status).toBe(200)
  })
})

test('who uses it is known, and beside it WireGuard is not counted: Xray cannot do both', async () => {
  const { operations } = it.node
  // Before there is any Hysteria: Xray counts inbounds when it starts.
  await operations['inbounds.delete']({ id: 'one' }, call())
  await operations['inbounds.add'](await wireguard(), call())
  const { pid } = await operations['xray.restart'](undefined, call())
  await withClient('two', 'bob', async (app) => {
    expect((await app.get(web.pageUrl)).status).toBe(200)
    expect((await operations['xray.start'](undefined, call())).pid).not.toBe(pid)
    const download = app.download(web.downloadUrl({ bytes: 200_000, rate: 100_000 }))
    await expect
      .poll(() => operations['clients.online'](undefined, {}), { timeout: 10_000 })
      .toEqual([expect.objectContaining({ email: 'bob', addresses: ['127.0.0.9'] })])
    expect(await download.finished).toMatchObject({ complete: true })
  })
  await expect
    .poll(() => operations['inbounds.get']({ id: 'two' }, {}), { timeout: 10_000 })
    .toMatchObject({ down: expect.toSatisfy((bytes: number) => bytes > 200_000) })
  const { config } = await operations['xray.config']({ reveal: false }, {})
  expect(config).toMatchObject({ policy: { system: { statsInboundUplink: false } } })
})

// When this fails, Xray has mended it (issue 5868), and `countsInbounds` need no longer look for Hysteria.
test('Xray forgets who a Hysteria client is where it counts the inbound', async () => {
  const password = randomUUID()
  const account = { type: 'hysteria' as const, auth: password }
  const inbound = await hysteriaInbound('three', await freePort(), [{ email: 'cal#1', account }])
  const xray = await startXrayServer([inbound])
  const client = { id: 2, email: 'cal', uuid: password, password, flow: '' }
  const linked = { ...inbound, id: 1, remark: '', linkSecrets: {} }
  const link = shareLink({ inbound: linked, client, host: '127.0.0.1' }) ?? ''
  const app = await startXrayClient({ binary: xrayBinary(), link })
  try {
    expect((await app.get(web.pageUrl)).status).toBe(200)
    const counted = async () => [...(await xray.api.counters())].filter(([, bytes]) => bytes > 0)
    await expect
      .poll(async () => (await counted()).map(([name]) => name), { timeout: 10_000 })
      .toContain('inbound>>>three>>>traffic>>>downlink')
    expect((await counted()).some(([name]) => name.startsWith('user>>>'))).toBe(false)
  } finally {
    await app.stop()
    await xray.stop()
  }
})
