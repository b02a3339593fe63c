/** What an app connects to by address is told apart by the name in its first bytes: real traffic decides. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type Server, connect as connectTls, createServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientInput, contract, inboundInput, type Sniffing } from '#src/contract/index.ts'
import { plainInput } from '#test/support/inputs.ts'
import { openSocks } from '#test/support/socks-http.ts'
import { makeTestChain } from '#test/support/test-chain.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'

const key = () => ({ idempotencyKey: randomUUID() })
/** A name that leads nowhere, so that only what was asked for can be connected to. */
const nowhere = 'sniffed.invalid'
const byRule = '127.0.0.5'
const otherwise = '127.0.0.1'

let it: TestNode
let web: WebTarget
let secure: Server
let app: XrayClient
beforeAll(async () => {
  ;[it, web] = await Promise.all([startTestNode(), startWebTarget()])
  const chain = await makeTestChain({ names: [{ type: 'dns', value: nowhere }] })
  // Says from where it was asked, as the other does by HTTP.
  secure = createServer({ cert: chain.leaf, key: chain.key }, (socket) => {
    socket.on('error', () => undefined)
    socket.end(socket.remoteAddress ?? '')
  })
  secure.listen(0, '127.0.0.1')
  await once(secure, 'listening')
  const { operations } = it.node
  await operations['inbounds.add'](plainInput('in-1', await freePort()), key())
  const anna = clientInput.parse({ email: 'anna', uuid: randomUUID(), subscriptionId: randomUUID() })
  const [added] = await operations['clients.add']({ id: 'in-1', clients: [anna] }, key())
  app = await startXrayClient({ binary: xrayBinary(), link: added?.links[0] ?? '', host: '127.0.0.1' })
  const routing = contract.routing.set['~orpc'].inputSchema?.parse({
    outbounds: [{ tag: 'second', protocol: 'freedom', sendThrough: byRule }],
    rules: [{ domain: [`full:${nowhere}`, 'full:localhost'], outboundTag: 'second' }],
  })
  await operations['routing.set'](routing as never, key())
})
afterAll(async () => {
  secure.close()
  await app.stop()
  await Promise.all([it.stop(), web.stop()])
})

const set = (sniffing: Sniffing) =>
  it.node.operations['inbounds.update']({ id: 'in-1', sniffing } as never, key())
/** From where a site is asked that the app knows by its address, with this name in the request. */
const http = async (name: string) => (await app.get(web.fromUrl.replace('127.0.0.1', name))).body
async function tls(name: string): Promise<string> {
  const { port } = secure.address() as AddressInfo
  const socket = await openSocks(app.socksPort, '127.0.0.1', port, AbortSignal.timeout(10_000))
  const secured = connectTls({ socket, servername: name, rejectUnauthorized: false })
  let said = ''
  for await (const part of secured) said += String(part)
  if (said === '') throw new Error('nothing came')
  return said
}

describe('a rule by a name', () => {
  test('decides by what is found in HTTP and in TLS, and the address that was asked for is connected to', async () => {
    await set({ enabled: true, destOverride: ['http', 'tls'], routeOnly: true })
    expect([await http(nowhere), await tls(nowhere)]).toEqual([byRule, byRule])
    expect([await http('other.invalid'), await tls('other.invalid')]).toEqual([otherwise, otherwise])
  })

  test('without routeOnly the name is connected to', async () => {
    await set({ enabled: true, destOverride: ['http', 'tls'] })
    expect([await http('localhost'), await tls('localhost')]).toEqual([byRule, byRule])
    await expect(http(nowhere)).rejects.toThrow()
    await expect(tls(nowhere)).rejects.toThrow()
  })

  test('sees nothing but what is listed', async () => {
    await set({ enabled: true, destOverride: ['tls'], routeOnly: true })
    expect([await http(nowhere), await tls(nowhere)]).toEqual([otherwise, byRule])
    await set({ enabled: true, destOverride: ['http'], routeOnly: true })
    expect([await http(nowhere), await tls(nowhere)]).toEqual([byRule, otherwise])
  })

  test('sees nothing in first bytes with metadataOnly, nor where it is off', async () => {
    const destOverride: Sniffing['destOverride'] = ['http', 'tls']
    await set({ enabled: true, destOverride, routeOnly: true, metadataOnly: true })
    expect([await http(nowhere), await tls(nowhere)]).toEqual([otherwise, otherwise])
    await set({ enabled: false, destOverride, routeOnly: true })
    expect([await http(nowhere), await tls(nowhere)]).toEqual([otherwise, otherwise])
  })
})

test('FakeDNS, which no server has, is not taken; where it was, it is shown and can be put right', async () => {
  const given = { ...plainInput('in-2', 1), sniffing: { enabled: true, destOverride: ['fakedns'] } }
  expect(inboundInput.safeParse(given).error?.issues[0]).toMatchObject({
    path: ['sniffing', 'destOverride', 0],
    message: expect.stringContaining('FakeDNS') as string,
  })
  await set({ enabled: true, destOverride: ['fakedns', 'tls'], routeOnly: true })
  const { operations } = it.node
  const shown = await operations['inbounds.get']({ id: 'in-1' }, {})
  const output = contract.inbounds.get['~orpc'].outputSchema
  expect(output?.parse(shown).sniffing.destOverride).toEqual(['fakedns', 'tls'])
  expect(await tls(nowhere)).toBe(byRule)
  await set({ enabled: true, destOverride: ['tls'] })
})
