import { randomUUID } from 'node:crypto'
import { type Socket, createSocket } from 'node:dgram'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { freePort, startClientProcess } from '#test/support/client-process.ts'
import { outboundOf } from '#test/support/parse-link.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'

const call = () => ({ idempotencyKey: randomUUID() })
const plain = { transport: { type: 'raw' }, security: { type: 'none' } }
const tls = { type: 'tls', serverName: 'vpn.example' }

const kinds = {
  vless: { protocol: 'vless', stream: plain },
  'vless with Vision': { protocol: 'vless', stream: { transport: { type: 'raw' }, security: tls } },
  vmess: { protocol: 'vmess', stream: plain },
  trojan: { protocol: 'trojan', stream: plain },
  'shadowsocks of old': { protocol: 'shadowsocks', settings: { method: 'chacha20-ietf-poly1305' } },
  'shadowsocks 2022': { protocol: 'shadowsocks' },
  hysteria2: { protocol: 'hysteria2', stream: { transport: { type: 'hysteria' }, security: tls } },
  mixed: { protocol: 'mixed' },
}

let it: TestNode
let echo: Socket

beforeAll(async () => {
  it = await startTestNode()
  echo = createSocket('udp4', (message, { port, address }) => echo.send(message, port, address))
  echo.bind(0, '127.0.0.1')
  await once(echo, 'listening')
})
afterAll(async () => {
  echo.close()
  await it.stop()
})

test.each(Object.keys(kinds) as (keyof typeof kinds)[])('%s carries UDP there and back', async (kind) => {
  const { operations } = it.node
  const tag = kind.replaceAll(' ', '-')
  const input = inboundInput.parse({ ...kinds[kind], tag, port: await freePort(), listen: '127.0.0.1' })
  await operations['inbounds.add'](input, call())
  const ann = clientInput.parse({ email: `ann of ${kind}`, uuid: randomUUID(), subscriptionId: randomUUID() })
  const [client] = await operations['clients.add']({ id: tag, clients: [ann] }, call())
  // An app that hands everything that comes by UDP through the link, to one address.
  const [local, ready] = [await freePort(), await freePort()]
  const to = { address: '127.0.0.1', port: echo.address().port, network: 'udp' }
  const app = await startClientProcess(
    xrayBinary(),
    {
      inbounds: [
        { listen: '127.0.0.1', port: local, protocol: 'dokodemo-door', settings: to },
        { listen: '127.0.0.1', port: ready, protocol: 'socks' },
      ],
      outbounds: [outboundOf(client?.links[0] ?? '')],
    },
    ready,
  )
  const socket = createSocket('udp4')
  try {
    const heard: string[] = []
    socket.on('message', (message) => heard.push(message.toString()))
    // Packets may be lost, also on their way to where nobody listens yet.
    const ask = (): string[] => {
      socket.send(`hello by ${kind}`, local, '127.0.0.1')
      return heard
    }
    await expect.poll(ask, { timeout: 15_000, interval: 300 }).toContain(`hello by ${kind}`)
  } finally {
    socket.close()
    await app.stop()
  }
})
