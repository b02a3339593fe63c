import { randomUUID } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ClientInput, clientInput, inboundInput } from '#src/contract/index.ts'
import { systemRuntime } from '#src/runtime.ts'
import { xrayPaths } from '#src/xray/life/process.ts'
import { createSocketCutter } from '#src/xray/sockets/socket-cutter.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'

/** Where connections cannot be cut, this is about them being let stand. */
const cutter = await createSocketCutter(systemRuntime())
const WITHIN = { timeout: 15_000, interval: 100 }

let port = 0
let node: TestNode
let web: WebTarget
let apps: XrayClient[]

beforeEach(async () => {
  node = await startTestNode({ cut: 'sockets' })
  web = await startWebTarget()
  apps = []
  await addInbound()
})

const plain = { transport: { type: 'raw' }, security: { type: 'none' } }

async function addInbound(kind: object = { protocol: 'vless', stream: plain }): Promise<void> {
  const port = await freePort()
  const inbound = inboundInput.parse({ tag: 'in-1', port, listen: '127.0.0.1', ...kind })
  await operations()['inbounds.add'](inbound, key())
}

afterEach(async () => {
  await Promise.all(apps.map((app) => app.stop()))
  await node.stop()
  await web.stop()
})

const key = () => ({ idempotencyKey: randomUUID() })
const operations = () => node.node.operations

async function joins(email: string, localAddress: string, limits: Partial<ClientInput> = {}) {
  const given = { email, uuid: randomUUID(), subscriptionId: randomUUID(), flow: '', ...limits }
  const [client] = await operations()['clients.add'](
    { id: 'in-1', clients: [clientInput.parse(given)] },
    key(),
  )
  const app = await startXrayClient({ binary: xrayBinary(), link: client?.links[0] ?? '', localAddress })
  apps.push(app)
  return app
}

/** A film that goes on until it is cut. */
async function watches(app: XrayClient) {
  const film = app.download(web.downloadUrl({ bytes: 1_000_000_000, rate: 200_000 }))
  await expect.poll(() => film.received(), WITHIN).toBeGreaterThan(0)
  return film
}

type Film = Awaited<ReturnType<typeof watches>>
const goesOn = async (film: Film): Promise<void> => {
  const before = film.received()
  await expect.poll(() => film.received(), WITHIN).toBeGreaterThan(before + 100_000)
}

/** Connections that stand at the inbound. */
async function standing(): Promise<number> {
  const [inbound] = await operations()['inbounds.list'](undefined, {})
  port = inbound?.port ?? port
  return (await cutter?.standing([port]))?.size ?? 0
}

/**
 * The film is over, for so many others go on. Not by what the app says: some of its Xray's connections to its user stay
 * open for minutes when that to the server has ended.
 */
async function stops(film: Film, others?: number): Promise<void> {
  if (cutter === null) return goesOn(film)
  if (others !== undefined) await expect.poll(standing, WITHIN).toBe(others)
  // What was on its way still arrives.
  let before = -1
  await expect
    .poll(() => [before, (before = film.received())], { timeout: 15_000, interval: 500 })
    .toSatisfy(([earlier, now]: number[]) => earlier === now)
}

describe('what stands of a client who is refused', () => {
  test.each(['127.0.0.10', '127.0.0.9'])(
    'is cut, and nothing of another who comes from %s',
    async (elsewhere) => {
      const anna = await joins('anna', '127.0.0.9', { limitBytes: 1_000_000 })
      const bert = await joins('bert', elsewhere)
      const before = (await operations()['xray.start'](undefined, key())).pid
      const [hers, his] = [await watches(anna), await watches(bert)]
      await stops(hers, 1)
      await goesOn(his)

      await operations()['clients.update']({ email: 'anna', limitBytes: null }, key())
      const again = await watches(anna)
      await operations()['clients.update']({ email: 'anna', enabled: false }, key())
      await stops(again, 1)
      await goesOn(his)

      await operations()['clients.delete']({ email: 'bert' }, key())
      await stops(his, 0)
      expect((await operations()['xray.start'](undefined, key())).pid).toBe(before)
    },
  )

  const over = (transport: object) => ({ transport, security: { type: 'none' } })
  test.each([
    { protocol: 'vmess', stream: over({ type: 'ws', path: '/a' }) },
    { protocol: 'trojan', stream: over({ type: 'httpupgrade', path: '/a' }) },
    { protocol: 'shadowsocks', settings: { method: 'aes-128-gcm', network: 'tcp,udp' }, stream: plain },
    {
      protocol: 'shadowsocks',
      settings: { method: '2022-blake3-aes-128-gcm', network: 'tcp,udp' },
      stream: plain,
    },
    { protocol: 'vless', stream: over({ type: 'grpc', serviceName: 'a' }) },
    { protocol: 'vless', stream: over({ type: 'xhttp', path: '/a', mode: 'auto' }) },
  ])('is cut through $protocol over $stream.transport.type too', async (kind) => {
    await operations()['inbounds.delete']({ id: 'in-1' }, key())
    await addInbound(kind)
    const [anna, bert] = [await joins('anna', '127.0.0.9'), await joins('bert', '127.0.0.9')]
    const [hers, his] = [await watches(anna), await watches(bert)]
    await operations()['clients.update']({ email: 'anna', enabled: false }, key())
    await stops(hers)
    const received = hers.received()
    await goesOn(his)
    if (cutter !== null) expect(hers.received()).toBe(received)
  })

  test('is cut when credentials change, and when the inbound is closed', async () => {
    const [anna, bert] = [await joins('anna', '127.0.0.9'), await joins('bert', '127.0.0.9')]
    const [hers, his] = [await watches(anna), await watches(bert)]
    await operations()['clients.update']({ email: 'anna', uuid: randomUUID() }, key())
    await stops(hers, 1)
    await goesOn(his)
    await operations()['inbounds.delete']({ id: 'in-1' }, key())
    await stops(his, 0)
  })

  test('is cut where the inbound has another port by now, too', async () => {
    const [anna, bert] = [await joins('anna', '127.0.0.9'), await joins('bert', '127.0.0.9')]
    const [hers, his] = [await watches(anna), await watches(bert)]
    const [before] = await operations()['inbounds.list'](undefined, {})
    await operations()['inbounds.update']({ id: 'in-1', port: await freePort() }, key())
    await goesOn(hers)
    await operations()['clients.update']({ email: 'anna', enabled: false }, key())
    if (cutter !== null)
      await expect.poll(async () => (await cutter?.standing([before?.port ?? 0]))?.size, WITHIN).toBe(1)
    await stops(hers)
    await goesOn(his)
  })

  test('is not known after a restart of ours, and let stand; what comes then is', async () => {
    const anna = await joins('anna', '127.0.0.9')
    const before = await watches(anna)
    await node.restart()
    const after = await watches(anna)
    await operations()['clients.update']({ email: 'anna', enabled: false }, key())
    await stops(after, 1)
    await goesOn(before)
  })

  test('no record of who visits what lies in any file', async () => {
    const anna = await joins('anna', '127.0.0.9')
    await anna.get(web.pageUrl)
    const { access, logDir } = xrayPaths(join(node.dir, 'xray'))
    expect(existsSync(join(logDir, 'access.log'))).toBe(false)
    if (cutter !== null) expect(statSync(access).isFIFO()).toBe(true)
  })
})

test('where connections are not to be cut, they stand, and nothing new is let in', async () => {
  await node.stop()
  node = await startTestNode({ cut: 'off' })
  await addInbound()
  const anna = await joins('anna', '127.0.0.9')
  const film = await watches(anna)
  await operations()['clients.delete']({ email: 'anna' }, key())
  await goesOn(film)
  await expect(anna.get(web.pageUrl)).rejects.toThrow()
})
