/** Traffic of real clients through a real Xray: which way out it takes is told by the address it comes from. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { clientInput, contract, inboundInput, type OperationInput } from '#src/contract/index.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'
import { plainInbound, startXrayServer, vlessUser } from '#test/support/xray-server.ts'

type Given = OperationInput<'routing.set'>

const key = () => ({ idempotencyKey: randomUUID() })
const exit = (tag: string, sendThrough: string) => ({ tag, protocol: 'freedom' as const, sendThrough })
const plain = { transport: { type: 'raw' as const }, security: { type: 'none' as const } }

async function addInbound(it: TestNode, tag: string): Promise<void> {
  const given = { tag, protocol: 'vless', port: await freePort(), listen: '127.0.0.1', stream: plain }
  await it.node.operations['inbounds.add'](inboundInput.parse(given), key())
}

/** A new client in an inbound, and its app. */
async function join(it: TestNode, inbound: string, email: string): Promise<XrayClient> {
  const client = clientInput.parse({ email, uuid: randomUUID(), subscriptionId: randomUUID() })
  const [added] = await it.node.operations['clients.add']({ id: inbound, clients: [client] }, key())
  return startXrayClient({ binary: xrayBinary(), link: added?.links[0] ?? '' })
}

function set(it: TestNode, given: Given) {
  const input = contract.routing.set['~orpc'].inputSchema?.parse(given)
  return it.node.operations['routing.set'](input as never, key())
}
const pidOf = async (it: TestNode) => (await it.node.operations['xray.start'](undefined, key())).pid

describe('a server that lets everything out', () => {
  let it: TestNode
  let web: WebTarget
  let anna: XrayClient
  let bert: XrayClient
  let before: number | null
  const from = async (client: XrayClient, host = '127.0.0.1') =>
    (await client.get(web.fromUrl.replace('127.0.0.1', host))).body

  beforeAll(async () => {
    ;[it, web] = await Promise.all([startTestNode(), startWebTarget()])
    await addInbound(it, 'in-1')
    await addInbound(it, 'in-2')
    anna = await join(it, 'in-1', 'anna')
    bert = await join(it, 'in-2', 'bert')
    before = await pidOf(it)
  })
  // Whatever was changed, it was while Xray ran, and clients can still be added to it.
  afterEach(async () => {
    expect(await pidOf(it)).toBe(before)
    const dora = await join(it, 'in-1', `dora-${randomUUID()}`)
    await expect(dora.get(web.pageUrl)).resolves.toMatchObject({ status: 200 })
    await dora.stop()
  })
  afterAll(async () => {
    await Promise.all([anna.stop(), bert.stop()])
    await Promise.all([it.stop(), web.stop()])
  })

  test('goes out by a rule for one client, however its name is written, while a download goes on', async () => {
    const size = 600_000
    const running = bert.download(web.downloadUrl({ bytes: size, rate: 200_000 }))
    await expect.poll(() => running.received()).toBeGreaterThan(0)
    for (const [index, address] of ['127.0.0.5', '127.0.0.6'].entries()) {
      // Added, then changed under its tag.
      const outbounds = [exit('second', address)]
      const done = await set(it, { outbounds, rules: [{ user: ['ANNA', 'c.+'], outboundTag: 'second' }] })
      expect(done.applied.how).toBe('hot')
      expect([await from(anna), await from(bert)]).toEqual([address, '127.0.0.1'])
      expect(done.applied.why[0]).toBe(`outbound second ${['added', 'changed'][index]}`)
    }
    await set(it, {})
    expect(await from(anna)).toBe('127.0.0.1')
    expect(await running.finished).toEqual({ bytes: size, complete: true })
  })

  test('goes on through a way out that is taken away under it', async () => {
    await set(it, { outbounds: [exit('second', '127.0.0.5')], defaultOutbound: 'second' })
    const size = 300_000
    const running = anna.download(web.downloadUrl({ bytes: size, rate: 150_000 }))
    await expect.poll(() => running.received()).toBeGreaterThan(0)
    await set(it, {})
    expect(await from(anna)).toBe('127.0.0.1')
    expect(await running.finished).toEqual({ bytes: size, complete: true })
  })

  test('goes out by domain and by inbound, and is blocked by domain', async () => {
    await set(it, {
      outbounds: [exit('second', '127.0.0.5'), exit('third', '127.0.0.6')],
      rules: [
        { domain: ['full:blocked.localhost'], outboundTag: 'blocked' },
        { domain: ['full:localhost'], outboundTag: 'second' },
        { inboundTag: ['in-2'], outboundTag: 'third' },
      ],
    })
    expect(await from(anna, 'localhost')).toBe('127.0.0.5')
    expect([await from(anna), await from(bert)]).toEqual(['127.0.0.1', '127.0.0.6'])
    await expect(from(anna, 'blocked.localhost')).rejects.toThrow()
  })

  test('goes out by turns where a balancer chooses, another way where the default is another', async () => {
    const outbounds = [exit('exit-1', '127.0.0.5'), exit('exit-2', '127.0.0.6'), exit('other', '127.0.0.7')]
    const balancers = [{ tag: 'turns', selector: ['exit-'], strategy: 'roundRobin' as const }]
    await set(it, {
      outbounds,
      balancers,
      rules: [{ inboundTag: ['in-1'], balancerTag: 'turns' }],
      defaultOutbound: 'other',
    })
    const ways = new Set([await from(anna), await from(anna), await from(anna)])
    expect([...ways].toSorted()).toEqual(['127.0.0.5', '127.0.0.6'])
    expect(await from(bert)).toBe('127.0.0.7')
    // The balancer under the same name, with one less to choose from.
    await set(it, {
      outbounds: outbounds.slice(1),
      balancers,
      rules: [{ network: 'tcp', balancerTag: 'turns' }],
    })
    expect([await from(anna), await from(bert)]).toEqual(['127.0.0.6', '127.0.0.6'])
  })

  test('goes out through another server, and through one way by way of another', async () => {
    const id = randomUUID()
    const port = await freePort()
    const upstream = await startXrayServer([plainInbound('in', port, [vlessUser('us', id)])], (config) => ({
      ...config,
      outbounds: [{ protocol: 'freedom', sendThrough: '127.0.0.8' }],
      routing: { rules: [{ inboundTag: ['api'], outboundTag: 'api' }] },
    }))
    try {
      const settings = { vnext: [{ address: '127.0.0.1', port, users: [{ id, encryption: 'none' }] }] }
      const up = { tag: 'up', protocol: 'vless' as const, settings }
      await set(it, { outbounds: [up], defaultOutbound: 'up' })
      expect(await from(anna)).toBe('127.0.0.8')
      const chained = { ...exit('over', '127.0.0.5'), proxySettings: { tag: 'up' } }
      await set(it, { outbounds: [up, chained], defaultOutbound: 'over' })
      expect(await from(anna)).toBe('127.0.0.8')
    } finally {
      await upstream.stop()
      await set(it, {})
    }
  })
})

test('a server that starts again has the ways out it had', async () => {
  const [it, web] = await Promise.all([startTestNode(), startWebTarget()])
  await addInbound(it, 'in-1')
  const anna = await join(it, 'in-1', 'anna')
  try {
    await set(it, {
      outbounds: [exit('second', '127.0.0.5'), exit('third', '127.0.0.6')],
      rules: [{ user: ['anna'], domain: ['full:localhost'], outboundTag: 'second' }],
      defaultOutbound: 'third',
    })
    const seen = async () => [
      (await anna.get(web.fromUrl.replace('127.0.0.1', 'localhost'))).body,
      (await anna.get(web.fromUrl)).body,
    ]
    expect(await seen()).toEqual(['127.0.0.5', '127.0.0.6'])
    await it.node.operations['xray.restart'](undefined, key())
    expect(await seen()).toEqual(['127.0.0.5', '127.0.0.6'])
    await it.restart()
    expect(await seen()).toEqual(['127.0.0.5', '127.0.0.6'])
  } finally {
    await anna.stop()
    await Promise.all([it.stop(), web.stop()])
  }
})

describe('a server that closes its own network to clients', () => {
  let it: TestNode
  let near: WebTarget
  let far: WebTarget
  let anna: XrayClient

  beforeAll(async () => {
    it = await startTestNode({ closed: true })
    ;[near, far] = await Promise.all([startWebTarget('127.0.0.1'), startWebTarget('127.0.0.9')])
    await addInbound(it, 'in-1')
    anna = await join(it, 'in-1', 'anna')
  })
  afterAll(async () => {
    await anna.stop()
    await Promise.all([it.stop(), near.stop(), far.stop()])
  })

  test('lets nobody in by a name either, whatever rule fits it', async () => {
    const byName = near.pageUrl.replace('127.0.0.1', 'localhost')
    for (const given of [
      {},
      { rules: [{ user: ['anna'], outboundTag: 'direct' }] },
      { outbounds: [exit('own', '127.0.0.1')], defaultOutbound: 'own' },
      { outbounds: [exit('own', '127.0.0.1')], rules: [{ domain: ['localhost'], outboundTag: 'own' }] },
    ] satisfies Given[]) {
      await set(it, given)
      await expect(anna.get(near.pageUrl)).rejects.toThrow()
      await expect(anna.get(byName)).rejects.toThrow()
    }
    await set(it, {})
  })

  test('opens the network an admin names, and no other', async () => {
    const alive = await pidOf(it)
    const done = await set(it, { privateAccess: ['127.0.0.9/32'] })
    expect(done.applied).toEqual({ how: 'hot', why: ['rules'] })
    expect((await anna.get(far.pageUrl)).body).toBe(far.pageText)
    await expect(anna.get(near.pageUrl)).rejects.toThrow()
    await set(it, {})
    await expect(anna.get(far.pageUrl)).rejects.toThrow()
    expect(await pidOf(it)).toBe(alive)
  })

  test('lets a tunnel into it, by a rule that comes and goes with the tunnel', async () => {
    const port = await freePort()
    const { host: target } = new URL(near.pageUrl)
    const tunnel = inboundInput.parse({
      tag: 'forward',
      protocol: 'tunnel',
      port,
      listen: '127.0.0.1',
      settings: { target },
    })
    const alive = await pidOf(it)
    await it.node.operations['inbounds.add'](tunnel, key())
    const page = await fetch(`http://127.0.0.1:${port}/`)
    expect(await page.text()).toBe(near.pageText)
    await expect(anna.get(near.pageUrl)).rejects.toThrow()
    // A loopback must not lead clients into it.
    const loopback = { tag: 'back', protocol: 'loopback' as const, settings: { inboundTag: 'forward' } }
    await expect(set(it, { outbounds: [loopback] })).rejects.toMatchObject({ code: 'BAD_INPUT' })

    await it.node.operations['inbounds.delete']({ id: 'forward' }, key())
    // One of the same name that is no tunnel leads nowhere private.
    await addInbound(it, 'forward')
    const bert = await join(it, 'forward', 'bert')
    await expect(bert.get(near.pageUrl)).rejects.toThrow()
    await bert.stop()
    expect(await pidOf(it)).toBe(alive)
  })
})
