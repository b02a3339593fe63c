/**
 * What Xray does with private networks that an admin must know. The guide and the README say it; once this fails, with
 * another Xray, they are to be changed.
 */
import { randomUUID } from 'node:crypto'
import { type Socket, createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientInput, contract, inboundInput } from '#src/contract/index.ts'
import { freePort, startClientProcess } from '#test/support/client-process.ts'
import { outboundOf } from '#test/support/parse-link.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'

const call = () => ({ idempotencyKey: randomUUID() })
const plain = { transport: { type: 'raw' }, security: { type: 'none' } }
const openAddress = '127.0.0.9'
const closedAddress = '127.0.0.1'

let it: TestNode
let open: Socket
let closed: Socket
const heard: string[] = []

async function listener(address: string): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.on('message', (message) => heard.push(`${message.toString()} at ${address}`))
  socket.bind(0, address)
  await once(socket, 'listening')
  return socket
}

beforeAll(async () => {
  it = await startTestNode({ closed: true })
  ;[open, closed] = await Promise.all([listener(openAddress), listener(closedAddress)])
  const given = { outbounds: [], rules: [], privateAccess: [`${openAddress}/32`] }
  const routing = contract.routing.set['~orpc'].inputSchema?.parse(given)
  await it.node.operations['routing.set'](routing as never, call())
})
afterAll(async () => {
  open.close()
  closed.close()
  await it.stop()
})

/** An app that sends UDP through the link, all of it from one port of its own. */
async function startApp(
  link: string,
): Promise<{ send(to: Socket, text: string): void; stop(): Promise<void> }> {
  const port = await freePort()
  const settings = { udp: true, ip: '127.0.0.1' }
  const inbounds = [{ listen: '127.0.0.1', port, protocol: 'socks', settings }]
  const app = await startClientProcess(xrayBinary(), { inbounds, outbounds: [outboundOf(link)] }, port)
  // SOCKS5 (RFC 1928): no authentication, then an association for UDP.
  const control = connect(port, '127.0.0.1')
  control.write(Buffer.from([5, 1, 0]))
  await once(control, 'data')
  control.write(Buffer.from([5, 3, 0, 1, 0, 0, 0, 0, 0, 0]))
  const [answer] = (await once(control, 'data')) as [Buffer]
  const relay = answer.readUInt16BE(8)
  const socket = createSocket('udp4')
  return {
    send(to, text) {
      const { address, port: there } = to.address()
      const head = [0, 0, 0, 1, ...address.split('.').map(Number), there >> 8, there & 255]
      socket.send(Buffer.concat([Buffer.from(head), Buffer.from(text)]), relay, '127.0.0.1')
    },
    async stop() {
      socket.close()
      control.destroy()
      await app.stop()
    },
  }
}

test.each(['vless', 'vmess', 'trojan', 'shadowsocks'])(
  'UDP by %s is held against the rules by its first packet alone',
  async (protocol) => {
    const { operations } = it.node
    const port = await freePort()
    const stream = plain
    const input = inboundInput.parse({ tag: protocol, protocol, stream, port, listen: '127.0.0.1' })
    await operations['inbounds.add'](input, call())
    const person = { email: `ann of ${protocol}`, uuid: randomUUID(), subscriptionId: randomUUID() }
    const [client] = await operations['clients.add'](
      { id: protocol, clients: [clientInput.parse(person)] },
      call(),
    )
    const link = client?.links[0] ?? ''
    const [strict, sly] = await Promise.all([startApp(link), startApp(link)])
    try {
      // Packets may be lost, also on their way to where nobody listens yet.
      const ask = (): string[] => {
        strict.send(closed, `${protocol} first`)
        sly.send(open, `${protocol} first`)
        sly.send(closed, `${protocol} later`)
        return heard
      }
      await expect
        .poll(ask, { timeout: 15_000, interval: 200 })
        .toEqual(
          expect.arrayContaining([
            `${protocol} first at ${openAddress}`,
            `${protocol} later at ${closedAddress}`,
          ]),
        )
      expect(heard).not.toContain(`${protocol} first at ${closedAddress}`)
    } finally {
      await Promise.all([strict.stop(), sly.stop()])
    }
  },
)
