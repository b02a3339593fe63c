/** Shadowsocks over WebSocket: an app that reads the plugin of a link gets through, and one that reads its type. */
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { startTestNode } from '#test/support/test-node.ts'
import { fetchPage, freePort, startWebTarget } from '#test/support/xray-client.ts'

const call = () => ({ idempotencyKey: randomUUID() })

test.each([
  ['2022-blake3-aes-128-gcm', '/a=b,c', 'front.example'],
  ['chacha20-ietf-poly1305', '/', ''],
])('by %s, at %s', async (method, path, host) => {
  const [it, web] = await Promise.all([startTestNode(), startWebTarget()])
  try {
    const input = inboundInput.parse({
      tag: 'ws',
      protocol: 'shadowsocks',
      port: await freePort(),
      listen: '127.0.0.1',
      settings: { method },
      stream: { transport: { type: 'ws', path, host }, security: { type: 'none' } },
    })
    await it.node.operations['inbounds.add'](input, call())
    const ann = clientInput.parse({ email: 'ann', uuid: randomUUID(), subscriptionId: randomUUID() })
    const [client] = await it.node.operations['clients.add']({ id: 'ws', clients: [ann] }, call())
    const link = client?.links[0] ?? ''
    const byPlugin = link.replace(/[?&]type=ws[^#]*(?=&plugin=)/, '?').replace('?&', '?')
    const byType = link.replace(/&plugin=[^&#]*/, '')
    expect([byPlugin.includes('type='), byType.includes('plugin=')]).toEqual([false, false])
    for (const each of [link, byPlugin, byType]) expect(await fetchPage(each, web.pageUrl)).toBe(web.pageText)
  } finally {
    await Promise.all([it.stop(), web.stop()])
  }
})
