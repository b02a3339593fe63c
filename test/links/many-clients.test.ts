import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { outboundOf } from '#test/support/parse-link.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { type WebTarget, freePort, startWebTarget } from '#test/support/xray-client.ts'
import { startXrayApps } from '#test/support/xray-apps.ts'

const call = () => ({ idempotencyKey: randomUUID() })
const person = (index: number) =>
  clientInput.parse({ email: `client ${index}`, uuid: randomUUID(), subscriptionId: randomUUID() })

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

// Xray makes the table of a Shadowsocks 2022 inbound anew for each of its clients, and tells them apart by their places.
test(
  'Shadowsocks 2022 bears a thousand clients, who come and go one by one',
  { timeout: 120_000 },
  async () => {
    const { operations } = it.node
    const input = { tag: 'ss', protocol: 'shadowsocks', port: await freePort(), listen: '127.0.0.1' }
    await operations['inbounds.add'](inboundInput.parse(input), call())
    const { pid } = await operations['xray.start'](undefined, call())
    const clients = await operations['clients.add'](
      { id: 'ss', clients: Array.from({ length: 1_000 }, (_, index) => person(index)) },
      call(),
    )
    const [late] = await operations['clients.add']({ id: 'ss', clients: [person(1_000)] }, call())
    const linkOf = (index: number): string => (index === 1_000 ? late : clients[index])?.links[0] ?? ''
    const some = [0, 1, 499, 998, 999, 1_000]
    const apps = await startXrayApps(
      xrayBinary(),
      new Map(some.map((index) => [String(index), outboundOf(linkOf(index))])),
    )
    const pages = () =>
      Promise.all(some.map((index) => apps.get(String(index), web.pageUrl, { ms: 5_000 }).catch(() => '')))
    const used = async (): Promise<string[]> => {
      const counted = await operations['traffic.clients'](undefined, {})
      return counted.filter(({ down }) => down > 0).map(({ email }) => email)
    }
    try {
      expect(await pages()).toEqual(some.map(() => web.pageText))
      // Each for itself, by its name.
      await expect.poll(used, { timeout: 10_000 }).toEqual(some.map((index) => `client ${index}`))
      // The last takes the place of one that goes.
      await operations['clients.delete']({ email: 'client 1' }, call())
      await operations['clients.delete']({ email: 'client 999' }, call())
      const gone = new Set([1, 999])
      expect(await pages()).toEqual(some.map((index) => (gone.has(index) ? '' : web.pageText)))
      expect((await operations['xray.start'](undefined, call())).pid).toBe(pid)
    } finally {
      await apps.stop()
    }
  },
)
