/** WireGuard and SOCKS: Xray takes their users only with the inbound, which is opened anew for every change of them. */
import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'

const call = () => ({ idempotencyKey: randomUUID() })
const person = (email: string, more: object = {}) =>
  clientInput.parse({ email, uuid: randomUUID(), subscriptionId: randomUUID(), ...more })

let it: TestNode
let web: WebTarget

beforeAll(async () => {
  it = await startTestNode()
  web = await startWebTarget()
  for (const protocol of ['wireguard', 'mixed'] as const) {
    const input = { tag: protocol, protocol, port: await freePort(), listen: '127.0.0.1' }
    await it.node.operations['inbounds.add'](inboundInput.parse(input), call())
  }
})
afterAll(async () => {
  await it.stop()
  await web.stop()
})

async function addClient(protocol: string, email: string, more: object = {}): Promise<string> {
  const [client] = await it.node.operations['clients.add'](
    { id: protocol, clients: [person(email, more)] },
    call(),
  )
  return client?.links[0] ?? ''
}

async function withApp<T>(protocol: string, link: string, use: (app: XrayClient) => Promise<T>): Promise<T> {
  // Packets to loopback never leave a machine: the page's Host leads there, once they are through.
  const host = protocol === 'wireguard' ? { host: '198.51.100.1' } : {}
  const app = await startXrayClient({ binary: xrayBinary(), link, ...host })
  try {
    return await use(app)
  } finally {
    await app.stop()
  }
}

describe.each(['wireguard', 'mixed'])('%s', (protocol) => {
  test('nobody feels a change that lets nobody in or out', async () => {
    const { operations } = it.node
    const ann = `ann of ${protocol}`
    const link = await addClient(protocol, ann)
    await addClient(protocol, `closed in ${protocol}`, { enabled: false })
    await withApp(protocol, link, async (app) => {
      const download = app.download(web.downloadUrl({ bytes: 200_000, rate: 100_000 }))
      await expect.poll(() => download.received(), { timeout: 20_000 }).toBeGreaterThan(0)
      await operations['clients.update']({ email: ann, comment: 'x', limitBytes: 10 ** 12 }, call())
      await operations['clients.resetTraffic']({ email: ann }, call())
      await operations['clients.update']({ email: `closed in ${protocol}`, comment: 'still' }, call())
      await addClient(protocol, `also closed in ${protocol}`, { enabled: false })
      expect(await download.finished).toEqual({ bytes: 200_000, complete: true })
    })
  })

  test('one who is added is let in, and the others are back by themselves', { timeout: 90_000 }, async () => {
    const { pid } = await it.node.operations['xray.start'](undefined, call())
    const link = await addClient(protocol, `bob of ${protocol}`)
    await withApp(protocol, link, async (app) => {
      expect((await app.get(web.pageUrl)).body).toBe(web.pageText)
      const other = await addClient(protocol, `cal of ${protocol}`)
      await withApp(protocol, other, async (theirs) => {
        expect((await theirs.get(web.pageUrl)).body).toBe(web.pageText)
      })
      // With WireGuard only once Bob's own app has noticed that nobody answers any more: 15 s, by its protocol.
      const again = () => app.get(web.pageUrl).then(({ body }) => body, String)
      await expect.poll(again, { timeout: 60_000 }).toBe(web.pageText)
    })
    expect((await it.node.operations['xray.start'](undefined, call())).pid).toBe(pid)
  })
})

test('a SOCKS connection outlives a change of users', async () => {
  const link = await addClient('mixed', 'dan')
  await withApp('mixed', link, async (app) => {
    const download = app.download(web.downloadUrl({ bytes: 200_000, rate: 100_000 }))
    await expect.poll(() => download.received(), { timeout: 20_000 }).toBeGreaterThan(0)
    await addClient('mixed', 'eve')
    await it.node.operations['clients.delete']({ email: 'eve' }, call())
    expect(await download.finished).toEqual({ bytes: 200_000, complete: true })
  })
})

test('the same account opens the port as an HTTP proxy, whatever the name', async () => {
  const email = 'a: b & Ü'
  const link = await addClient('mixed', email)
  const [, account = '', port] = /^socks:\/\/([\w-]+)@127\.0\.0\.1:(\d+)#/.exec(link) ?? []
  const ask = (basic: string): Promise<{ status: number; body: string }> =>
    new Promise((resolve, reject) => {
      const headers = { host: new URL(web.origin).host, 'proxy-authorization': `Basic ${basic}` }
      const options = { host: '127.0.0.1', port: Number(port), path: web.pageUrl, headers, agent: false }
      request(options, (response) => {
        response.setEncoding('utf8')
        let body = ''
        response.on('data', (part: string) => (body += part))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      })
        .once('error', reject)
        .end()
    })
  const basic = Buffer.from(account, 'base64url').toString('base64')
  expect(await ask(basic)).toEqual({ status: 200, body: web.pageText })
  expect((await ask(Buffer.from('nobody:nothing').toString('base64'))).status).toBe(407)
  await expect
    .poll(async () => {
      const counted = await it.node.operations['traffic.clients'](undefined, {})
      return counted.find((client) => client.email === email)?.down ?? 0
    })
    .toBeGreaterThan(web.pageText.length)
})
