import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeRuntime, createFakeRuntime } from '#test/support/fake-runtime.ts'
import { type Web, startWeb } from './server.ts'
import type { PublicServer, WebHealth } from './status-model.ts'

const NOW = Date.UTC(2026, 2, 14, 9, 26, 53)
const HERE = '127.0.0.1:0'

let runtime: FakeRuntime
let rows: PublicServer[]
let asked: number
let health: WebHealth
let logged: string[]
let web: Web

const fleet = {
  servers: {
    list: (): PublicServer[] => {
      asked++
      return rows
    },
  },
}
const log = {
  info: (details: object, message: string): void => void logged.push(message + JSON.stringify(details)),
  error: (_details: object, message: string): void => void logged.push(message),
}
const get = (path: string, init?: RequestInit): Promise<Response> => fetch(new URL(path, web.url), init)
const text = async (path: string): Promise<string> => (await get(path)).text()

beforeEach(async () => {
  runtime = createFakeRuntime({ now: NOW })
  rows = [{ id: 1, alias: 'Amsterdam', status: 'online', enabled: true }]
  asked = 0
  health = { ok: true, judgedAt: NOW - 12_000 }
  logged = []
  web = await startWeb({ listen: HERE, fleet, runtime, version: '9.8.7', log, health: () => health })
})
afterEach(() => web.close())

describe('GET /', () => {
  it('shows each server and when it was last judged', async () => {
    rows.push({ id: 2, alias: '', status: 'offline', enabled: true })
    const answer = await get('/')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/)
    const page = await answer.text()
    expect(page).toContain('Not everything works')
    expect(page).toMatch(/Amsterdam<\/bdi>[\s\S]*Online[\s\S]*Server 2<\/bdi>[\s\S]*Offline/)
    expect(page).toContain('12 s ago')
    expect(page).toContain('datetime="2026-03-14T09:26:41.000Z"')
  })

  it('shows an alias as text, whatever is in it', async () => {
    rows = [{ id: 1, alias: '<img src=x onerror=alert(1)>"&', status: 'online', enabled: true }]
    const page = await text('/')
    expect(page).not.toContain('<img')
    expect(page).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&amp;')
  })

  it('is made once in two seconds, however many ask', async () => {
    await Promise.all(Array.from({ length: 20 }, () => text('/')))
    expect(asked).toBe(1)
    rows = []
    expect(await text('/')).toContain('Amsterdam')
    await runtime.advance(2_000)
    expect(await text('/')).toContain('There is no server yet.')
    expect(asked).toBe(2)
  })

  it('allows its own style and nothing else, and names no version', async () => {
    const answer = await get('/')
    const policy = answer.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    expect(policy).not.toContain('script')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(await answer.text()).not.toMatch(/9\.8\.7|<script|https?:/)
    expect(logged.join()).toContain('9.8.7')
  })

  it('answers 500 without a word about the cause, then goes on', async () => {
    const list = fleet.servers.list
    fleet.servers.list = () => {
      throw new Error('disk on fire at /var/lib')
    }
    const answer = await get('/')
    fleet.servers.list = list
    expect(answer.status).toBe(500)
    expect(await answer.text()).not.toContain('fire')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect((await get('/')).status).toBe(200)
  })
})

describe('GET /healthz', () => {
  it('is well while servers are being judged, and 503 once they are not', async () => {
    const well = await get('/healthz')
    expect(well.status).toBe(200)
    expect(await well.json()).toEqual({ status: 'ok', judgedAt: '2026-03-14T09:26:41.000Z' })
    health = { ok: false, judgedAt: null }
    const stalled = await get('/healthz')
    expect(stalled.status).toBe(503)
    expect(await stalled.json()).toEqual({ status: 'stalled', judgedAt: null })
  })
})

describe('everything else', () => {
  it.each(['/index.html', '/healthz/', '//', '/api/v1/health', '/..%2f..%2fpackage.json', '/.env'])(
    '%s is not there',
    async (path) => {
      const answer = await fetch(web.url.slice(0, -1) + path)
      expect(answer.status).toBe(404)
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(await answer.text()).toContain('There is nothing here')
    },
  )

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s / is not there', async (method) => {
    expect((await get('/', { method })).status).toBe(404)
  })

  it('rejects when its address is taken, or is none', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const taken = other.address() as { port: number }
    await expect(
      startWeb({ listen: `127.0.0.1:${taken.port}`, fleet, runtime, version: '1', log }),
    ).rejects.toMatchObject({ code: 'ADDRESS_TAKEN' })
    await new Promise((resolve) => other.close(resolve))
    await expect(
      startWeb({ listen: '/etc/passwd', fleet, runtime, version: '1', log }),
    ).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })

  it.each(['', 'GET / HTTP/1.1\r\nhost: x\r\n'])('lets go of who is slow: %j', async (part) => {
    await web.close()
    web = await startWeb({ listen: HERE, fleet, runtime, version: '1', log, patienceMs: 300 })
    const socket = connect(Number(new URL(web.url).port), '127.0.0.1').on('error', () => undefined)
    socket.write(part)
    socket.resume()
    await once(socket, 'close')
  })

  it('frees its port at once when closed, also with a connection held open', async () => {
    const { port } = new URL(web.url)
    await text('/')
    await web.close()
    web = await startWeb({ listen: `127.0.0.1:${port}`, fleet, runtime, version: '1', log })
    expect((await get('/healthz')).status).toBe(200)
  })
})
