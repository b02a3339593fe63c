/** Fallbacks chosen by server name and by ALPN, told who calls, and under REALITY. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, createServer as createHttp } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2'
import { request } from 'node:https'
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { startClientProcess } from '#test/support/client-process.ts'
import { outboundOf } from '#test/support/parse-link.ts'
import { getThroughSocks } from '#test/support/socks-http.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { startTlsTarget } from '#test/support/tls-target.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { type WebTarget, fetchPage, freePort, startWebTarget } from '#test/support/xray-client.ts'

const call = () => ({ idempotencyKey: randomUUID() })
const signature2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A site that answers whoever comes, by HTTP/1.1, with the first bytes it got, in hexadecimal. */
async function startEcho(): Promise<{ port: number; stop(): void }> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', (first) => {
      const body = first.toString('hex')
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
    })
  })
  const port = await listening(server)
  return {
    port,
    stop() {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8')
  let body = ''
  for await (const part of response) body += String(part)
  return body
}

describe.each(['vless', 'trojan'] as const)('sites behind %s over TLS', (protocol) => {
  let it: TestNode
  let web: WebTarget
  let shop: WebTarget
  const h2 = createHttp2((_, response) => response.end('over HTTP/2'))
  let echo: Awaited<ReturnType<typeof startEcho>>
  let port: number
  let link: string

  beforeAll(async () => {
    ;[it, web, shop, echo] = await Promise.all([
      startTestNode(),
      startWebTarget(),
      startWebTarget(),
      startEcho(),
    ])
    port = await freePort()
    const dest = await listening(h2)
    const input = inboundInput.parse({
      tag: 'shared',
      protocol,
      port,
      listen: '127.0.0.1',
      settings: {
        fallbacks: [
          { dest: new URL(web.origin).host },
          { alpn: 'h2', dest },
          { name: 'shop.example', dest: new URL(shop.origin).host },
          { path: '/told-1', dest: echo.port, xver: 1 },
          { path: '/told-2', dest: echo.port, xver: 2 },
        ],
      },
      stream: {
        transport: { type: 'raw' },
        security: { type: 'tls', serverName: 'vpn.example', alpn: ['h2', 'http/1.1'] },
      },
    })
    await it.node.operations['inbounds.add'](input, call())
    const ann = clientInput.parse({ email: 'ann', uuid: randomUUID(), subscriptionId: randomUUID() })
    const [client] = await it.node.operations['clients.add']({ id: 'shared', clients: [ann] }, call())
    link = client?.links[0] ?? ''
  })
  afterAll(async () => {
    h2.close()
    echo.stop()
    await Promise.all([it.stop(), web.stop(), shop.stop()])
  })

  /** What a browser gets that speaks HTTP/1.1, and from which port it asked. */
  async function browse(path: string, servername = 'vpn.example'): Promise<{ body: string; from: number }> {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      servername,
      ALPNProtocols: ['http/1.1'],
      agent: false,
      rejectUnauthorized: false,
    } as const
    const sent = request(options).end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const from = response.socket.localPort ?? 0
    return { body: await bodyOf(response), from }
  }

  test('each is chosen by the name that was asked for', async () => {
    expect((await browse('/')).body).toBe(web.pageText)
    expect((await browse('/shop', 'shop.example')).body).toBe(shop.pageText)
    expect([web.asked, shop.asked]).toEqual([['/'], ['/shop']])
  })

  test('one is for those who agreed on HTTP/2', async () => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, {
      servername: 'vpn.example',
      rejectUnauthorized: false,
    })
    const stream = session.request({ ':path': '/' })
    stream.setEncoding('utf8')
    let body = ''
    for await (const part of stream) body += String(part)
    session.close()
    expect(body).toBe('over HTTP/2')
  })

  test('one is told who calls, in either version of the PROXY protocol', async () => {
    const first = await browse('/told-1')
    expect(Buffer.from(first.body, 'hex').toString()).toMatch(
      new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 ${first.from} ${port}\r\n`),
    )
    const second = await browse('/told-2')
    const said = Buffer.from(second.body, 'hex')
    expect(said.subarray(0, 12)).toEqual(signature2)
    // Of IPv4 over TCP: both addresses, then both ports.
    expect([said[12], said[13], said.readUInt16BE(24), said.readUInt16BE(26)]).toEqual([
      0x21,
      0x11,
      second.from,
      port,
    ])
  })

  test('clients get where they want to go beside all of them', async () => {
    expect(await fetchPage(link, web.pageUrl)).toBe(web.pageText)
  })
})

test('under REALITY a fallback takes whoever has its keys and speaks another protocol', async () => {
  const [it, site] = await Promise.all([startTestNode(), startTlsTarget()])
  // A proxy for HTTP, of the admin's own.
  const proxy = createHttp((_, response) => response.end('by the proxy behind'))
  proxy.on('connect', (_, socket: Socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    proxy.emit('connection', socket)
  })
  try {
    const dest = await listening(proxy)
    const port = await freePort()
    const security = { type: 'reality', target: site.target, serverNames: ['site.example'], shortIds: ['ab'] }
    const input = inboundInput.parse({
      tag: 'shared',
      protocol: 'vless',
      port,
      listen: '127.0.0.1',
      settings: { fallbacks: [{ dest }] },
      stream: { transport: { type: 'raw' }, security },
    })
    await it.node.operations['inbounds.add'](input, call())
    const ann = clientInput.parse({ email: 'ann', uuid: randomUUID(), subscriptionId: randomUUID() })
    const [client] = await it.node.operations['clients.add']({ id: 'shared', clients: [ann] }, call())
    const outbound = {
      ...outboundOf(client?.links[0] ?? ''),
      protocol: 'http',
      settings: { servers: [{ address: '127.0.0.1', port }] },
    }
    const socksPort = await freePort()
    const inbounds = [
      { listen: '127.0.0.1', port: socksPort, protocol: 'socks', settings: { auth: 'noauth' } },
    ]
    const app = await startClientProcess(xrayBinary(), { inbounds, outbounds: [outbound] }, socksPort)
    const answer = await getThroughSocks(socksPort, 'http://anywhere.invalid/', AbortSignal.timeout(10_000))
    expect(await bodyOf(answer)).toBe('by the proxy behind')
    await app.stop()
  } finally {
    proxy.close()
    proxy.closeAllConnections()
    await Promise.all([it.stop(), site.stop()])
  }
})
