import { randomUUID } from 'node:crypto'
import { request } from 'node:https'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { type WebTarget, freePort, startWebTarget, startXrayClient } from '#test/support/xray-client.ts'

const call = () => ({ idempotencyKey: randomUUID() })

/** What a browser gets to see, on a connection of its own: where one leads is settled by its first request. */
async function browse(port: number, path: string): Promise<string> {
  const address = { host: '127.0.0.1', port, path, servername: 'vpn.example' }
  const options = { ...address, agent: false, rejectUnauthorized: false }
  return new Promise((resolve, reject) => {
    request(options, (response) => {
      response.setEncoding('utf8')
      let body = ''
      response.on('data', (part: string) => (body += part))
      response.on('end', () => resolve(body))
    })
      .once('error', reject)
      .end()
  })
}

describe.each(['vless', 'trojan'] as const)('a web site behind %s over TLS', (protocol) => {
  let it: TestNode
  let web: WebTarget
  let other: WebTarget
  let port: number
  let link: string

  beforeAll(async () => {
    it = await startTestNode()
    web = await startWebTarget()
    other = await startWebTarget()
    port = await freePort()
    const { operations } = it.node
    const input = inboundInput.parse({
      tag: 'shared',
      protocol,
      port,
      listen: '127.0.0.1',
      settings: {
        fallbacks: [
          { dest: Number(new URL(web.origin).port) },
          { path: '/other', dest: new URL(other.origin).host },
        ],
      },
      stream: {
        transport: { type: 'raw' },
        security: { type: 'tls', serverName: 'vpn.example', alpn: ['http/1.1'] },
      },
    })
    await operations['inbounds.add'](input, call())
    const ann = clientInput.parse({ email: 'ann', uuid: randomUUID(), subscriptionId: randomUUID() })
    const [client] = await operations['clients.add']({ id: 'shared', clients: [ann] }, call())
    link = client?.links[0] ?? ''
  })
  afterAll(async () => {
    await it.stop()
    await Promise.all([web.stop(), other.stop()])
  })

  test('is what a browser sees, each path where it leads', async () => {
    expect(await browse(port, '/page')).toBe(web.pageText)
    expect(await browse(port, '/other')).toBe(other.pageText)
    expect([web.asked, other.asked]).toEqual([['/page'], ['/other']])
  })

  test('leaves clients where they want to go', async () => {
    expect(link.includes('flow=xtls-rprx-vision')).toBe(protocol === 'vless')
    const app = await startXrayClient({ binary: xrayBinary(), link })
    try {
      expect(await app.get(`${other.origin}/through`)).toEqual({ status: 200, body: other.pageText })
      expect(other.asked).toContain('/through')
    } finally {
      await app.stop()
    }
  })
})

test('fallbacks are refused where Xray would never follow one', async () => {
  const it = await startTestNode()
  try {
    const input = inboundInput.parse({
      tag: 'plain',
      protocol: 'vless',
      port: await freePort(),
      listen: '127.0.0.1',
      settings: { fallbacks: [{ dest: 80 }] },
      stream: { transport: { type: 'ws' }, security: { type: 'none' } },
    })
    await expect(it.node.operations['inbounds.add'](input, call())).rejects.toMatchObject({
      code: 'BAD_INPUT',
      details: { field: 'settings.fallbacks' },
    })
  } finally {
    await it.stop()
  }
})
