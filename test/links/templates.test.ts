import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { templateIds, templates } from '#src/fleet/templates.ts'
import { freePort } from '#test/support/client-process.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { startTlsTarget } from '#test/support/tls-target.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { type WebTarget, startWebTarget, startXrayClient } from '#test/support/xray-client.ts'

const call = () => ({ idempotencyKey: randomUUID() })

let site: Awaited<ReturnType<typeof startTlsTarget>>
let web: WebTarget
let it: TestNode

beforeAll(async () => {
  site = await startTlsTarget('localhost')
  web = await startWebTarget()
  it = await startTestNode()
})
afterAll(async () => {
  await it.stop()
  await Promise.all([web.stop(), site.stop()])
})

test.each(templateIds)('%s: an inbound made of it lets a client through', async (id) => {
  const { operations } = it.node
  const { asks, make } = templates[id]
  const made = make({
    tag: id,
    port: await freePort(),
    target: asks === 'site' ? site.target.replace('127.0.0.1', 'localhost') : new URL(web.origin).host,
    domain: null,
    random: randomBytes(8).toString('hex'),
  })
  const inbound = await operations['inbounds.add'](
    { ...inboundInput.parse(made), listen: '127.0.0.1' },
    call(),
  )
  if (inbound.protocol === 'tunnel') {
    expect(await (await fetch(`http://127.0.0.1:${inbound.port}/`)).text()).toBe(web.pageText)
    return
  }
  const ann = clientInput.parse({ email: `ann of ${id}`, uuid: randomUUID(), subscriptionId: randomUUID() })
  const [client] = await operations['clients.add']({ id, clients: [ann] }, call())
  // WireGuard carries packets, and those to loopback never leave a machine: the page's Host leads there instead.
  const host = inbound.protocol === 'wireguard' ? { host: '198.51.100.1' } : {}
  const app = await startXrayClient({ binary: xrayBinary(), link: client?.links[0] ?? '', ...host })
  try {
    expect(await app.get(web.pageUrl)).toEqual({ status: 200, body: web.pageText })
  } finally {
    await app.stop()
  }
})

test('with a domain they name a certificate of the server, and are refused where it holds none', async () => {
  for (const id of templateIds) {
    if (templates[id].asks !== 'certificate') continue
    const answers = {
      tag: `${id}-2`,
      port: await freePort(),
      target: '',
      domain: 'vpn.example',
      random: 'ab',
    }
    const made = inboundInput.parse(templates[id].make(answers))
    expect(made.stream.security).toMatchObject({
      serverName: 'vpn.example',
      certificate: { source: 'store', domain: 'vpn.example' },
    })
    await expect(it.node.operations['inbounds.add'](made, call())).rejects.toMatchObject({
      code: 'CERTIFICATE_NOT_FOUND',
      details: { domain: 'vpn.example' },
    })
  }
})
