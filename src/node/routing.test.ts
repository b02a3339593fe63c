import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contract, inboundInput, type OperationInput, type Outbound } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import type { XrayApi } from '#src/xray/api/api.ts'
import { makeRealityKeys } from '#src/xray/config/x25519.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/xray-client.ts'
import type { XrayParts } from './engine/xray-parts.ts'

type Given = Partial<OperationInput<'routing.set'>>

let it: TestNode
let parts: XrayParts
/** A step that Xray refuses from now on. */
let refused: keyof XrayApi | null = null
const told: { message: string; details: object }[] = []
const tell = (details: object, message: string) => void told.push({ details, message })
const log: Log = { ...silentLog(), info: tell, warn: tell }

/** The real Xray, but for the step that a test has it refuse. */
function breakable(real: XrayParts): XrayParts {
  const api = new Proxy(real.api, {
    get(target, name: keyof XrayApi) {
      const work = target[name]
      return (...given: never[]) => {
        if (name === refused) throw new FleetError('XRAY_REFUSED', { reason: 'as the test says' })
        return (work as (...all: never[]) => unknown)(...given)
      }
    },
  })
  parts = { ...real, api }
  return parts
}

beforeAll(async () => {
  it = await startTestNode({ through: breakable, log })
})
afterAll(() => it.stop())

const key = () => ({ idempotencyKey: randomUUID() })
const parse = (given: Given) =>
  contract.routing.set['~orpc'].inputSchema?.parse({ outbounds: [], rules: [], ...given }) as never
const set = (given: Given, call = key()) => it.node.operations['routing.set'](parse(given), call)
const get = (reveal = true) => it.node.operations['routing.get']({ reveal }, {})
const pid = async () => (await it.node.operations['xray.start'](undefined, key())).pid

const socks = (tag: string, pass = 'a secret') => ({
  tag,
  protocol: 'socks' as const,
  settings: { address: '192.0.2.1', port: 1080, user: 'me', pass },
})

/** What the running Xray itself says: ways out in order of name, and the names of its rules. */
async function running(): Promise<{ outbounds: string[]; rules: string[] }> {
  const outbounds = (await parts.api.outbounds()).map(({ tag, proxy_settings: settings }) => {
    const text = Buffer.from(settings?.value ?? []).toString('latin1')
    return `${tag}${/secret \w+/.exec(text)?.[0] ?? ''}`
  })
  return { outbounds: outbounds.toSorted(), rules: (await parts.api.ruleTags()).slice(1) }
}
const plain = { outbounds: ['blocked', 'direct'], rules: ['default'] }

describe('ways out and rules of a node', () => {
  test('are plain until something is said of them', async () => {
    expect(await get()).toMatchObject({ outbounds: [], rules: [], defaultOutbound: 'direct', rowVersion: 0 })
    expect(await running()).toEqual(plain)
  })

  test('change while Xray runs; it is told which parts, and secrets stay sealed and are masked', async () => {
    const before = await pid()
    const rules = [{ ruleTag: 'ads', domain: ['domain:ads.example'], outboundTag: 'blocked' }]
    const done = await set({ outbounds: [socks('up')], rules, rowVersion: 0 })
    expect(done).toMatchObject({
      rowVersion: 1,
      applied: { how: 'hot', why: ['outbound up added', 'rules'] },
      outbounds: [{ tag: 'up', settings: { user: 'me', pass: '***' } }],
    })
    expect(told).toContainEqual({
      message: 'Xray follows a change while it runs',
      details: { changed: ['outbound up added', 'rules'] },
    })
    expect(await running()).toEqual({
      outbounds: ['blocked', 'direct', 'up'],
      rules: ['rule-ads', 'default'],
    })
    expect((await get()).outbounds).toEqual([socks('up')])
    expect(JSON.stringify(await get(false))).not.toContain('a secret')
    it.db.pragma('wal_checkpoint(TRUNCATE)')
    expect(it.db.serialize().toString('latin1')).not.toContain('a secret')
    expect(await pid()).toBe(before)
  })

  test('the same once more changes nothing, a read that is old is refused, and a key is carried out once', async () => {
    const { rowVersion, ...document } = await get()
    const once = key()
    const first = await set({ ...document, rowVersion }, once)
    expect(first.applied).toEqual({ how: 'unchanged', why: [] })
    expect(await set({ ...document, rowVersion }, once)).toEqual(first)
    await expect(set({ ...document, rowVersion })).rejects.toMatchObject({ code: 'STALE_ROW_VERSION' })
    const shown = await get(false)
    await expect(set({ outbounds: shown.outbounds })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      details: { field: 'outbounds.0.settings.pass' },
    })
  })

  test('what Xray cannot read is refused before anything changes', async () => {
    const before = await get()
    const rules = [{ domain: ['geosite:no-such-list'], outboundTag: 'blocked' }]
    await expect(set({ rules })).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    await expect(set({ outbounds: [{ ...socks('x'), protocol: 'vless' }] })).rejects.toMatchObject({
      code: 'XRAY_REFUSED',
    })
    await expect(set({ defaultOutbound: 'api' })).rejects.toMatchObject({ code: 'BAD_INPUT' })
    expect(await get()).toEqual(before)
  })

  test.each(['putOutbound', 'setRouting', 'removeOutbound'] as const)(
    'a step that fails on the way, %s, takes rows and Xray back to where they were',
    async (step) => {
      const rules = [{ ruleTag: 'one', network: 'tcp' as const, outboundTag: 'up' }]
      await set({ outbounds: [socks('up'), socks('gone')], rules })
      const [rows, xray, alive] = [await get(), await running(), await pid()]
      const next = {
        outbounds: [socks('up', 'secret another'), socks('new')],
        rules: [{ ...rules[0], outboundTag: 'new' }],
      }
      refused = step
      const once = key()
      // What it refuses on the way back too, it is told before the next change.
      await expect(set(next as Given, once)).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
      refused = null
      await expect(set(next as Given, once)).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
      expect(await get()).toEqual(rows)
      await it.node.operations['inbounds.add'](
        inboundInput.parse({
          tag: `after-${step}`,
          protocol: 'vless',
          port: await freePort(),
          listen: '127.0.0.1',
          stream: { transport: { type: 'raw' }, security: { type: 'none' } },
        }),
        key(),
      )
      expect(await running()).toEqual(xray)
      expect(await pid()).toBe(alive)
    },
  )

  test('what Xray reads only at its start needs leave, and then happens once', async () => {
    const before = await pid()
    const call = set({ domainStrategy: 'AsIs' })
    await expect(call).rejects.toMatchObject({
      code: 'RESTART_NEEDED',
      details: { reasons: 'domainStrategy' },
    })
    expect((await get()).domainStrategy).toBe('IPIfNonMatch')
    expect(await pid()).toBe(before)
    const once = key()
    const done = await set({ domainStrategy: 'AsIs', allowRestart: true }, once)
    expect(done.applied).toMatchObject({ how: 'restart', why: expect.arrayContaining(['domainStrategy']) })
    const after = await pid()
    expect(after).not.toBe(before)
    expect(await set({ domainStrategy: 'AsIs', allowRestart: true }, once)).toEqual(done)
    expect(await pid()).toBe(after)
    expect(await running()).toEqual(plain)
  })

  test('a database put back while Xray ran on: ways out and rules follow it at the next start', async () => {
    await set({ domainStrategy: 'AsIs', outbounds: [socks('first'), socks('same')] })
    const [row, xray, alive] = [it.db.prepare('select * from routings').get(), await running(), await pid()]
    await set({
      domainStrategy: 'AsIs',
      outbounds: [socks('same', 'secret later'), socks('later')],
      rules: [{ network: 'udp', outboundTag: 'later' }],
    })
    await it.restart(() => {
      it.db.prepare('update routings set document = @document, row_version = @row_version').run(row)
    })
    expect(await running()).toEqual(xray)
    // One outbound is back, one as it was, one gone; and the rules.
    expect(told).toContainEqual({
      message: 'Xray differed from the database and was mended',
      details: { mended: 4 },
    })
    expect(await pid()).toBe(alive)
    // And from here there is nothing more to mend.
    const again = JSON.stringify(await parts.api.ruleTags())
    await it.restart()
    expect(JSON.stringify(await parts.api.ruleTags())).toBe(again)
  })

  test('every kind of way out is known again as what it is', async () => {
    const id = randomUUID()
    const [address, port] = ['192.0.2.1', 443]
    const { privateKey, publicKey } = makeRealityKeys()
    const reality = { serverName: 'site.example', publicKey, shortId: 'ab12', fingerprint: 'chrome' }
    const outbounds: Outbound[] = [
      {
        tag: 'freedom',
        protocol: 'freedom',
        settings: { domainStrategy: 'UseIPv4' },
        sendThrough: '192.0.2.9',
      },
      { tag: 'blackhole', protocol: 'blackhole', settings: { response: { type: 'http' } } },
      { tag: 'dns', protocol: 'dns', settings: { address: '192.0.2.53', port: 53, network: 'udp' } },
      { tag: 'loopback', protocol: 'loopback', settings: { inboundTag: 'again' } },
      {
        tag: 'vless',
        protocol: 'vless',
        settings: { address, port, id, encryption: 'none', flow: 'xtls-rprx-vision' },
        streamSettings: { network: 'raw', security: 'reality', realitySettings: reality },
      },
      {
        tag: 'vmess',
        protocol: 'vmess',
        settings: { address, port, id },
        streamSettings: { network: 'ws', wsSettings: { path: '/w', headers: { Host: 'site.example' } } },
        mux: { enabled: true, concurrency: 8 },
      },
      {
        tag: 'trojan',
        protocol: 'trojan',
        settings: { address, port, password: 'p' },
        streamSettings: { network: 'xhttp', security: 'tls', xhttpSettings: { path: '/x', mode: 'auto' } },
      },
      {
        tag: 'ss',
        protocol: 'shadowsocks',
        settings: { address, port, method: 'aes-256-gcm', password: 'p' },
      },
      { tag: 'http', protocol: 'http', settings: { address, port, user: 'u', pass: 'p' } },
      { tag: 'chained', protocol: 'socks', settings: { address, port }, proxySettings: { tag: 'vless' } },
      {
        tag: 'wireguard',
        protocol: 'wireguard',
        settings: {
          secretKey: Buffer.from(privateKey, 'base64url').toString('base64'),
          address: ['10.0.0.2/32'],
          peers: [
            {
              publicKey: Buffer.from(publicKey, 'base64url').toString('base64'),
              endpoint: '192.0.2.1:51820',
            },
          ],
        },
      },
      {
        tag: 'hysteria',
        protocol: 'hysteria',
        settings: { version: 2, address, port },
        streamSettings: {
          network: 'hysteria',
          security: 'tls',
          tlsSettings: { serverName: 'site.example', alpn: ['h3'] },
          hysteriaSettings: { version: 2, auth: 'a' },
        },
      },
    ]
    expect((await set({ domainStrategy: 'AsIs', outbounds })).applied.how).toBe('hot')
    expect(await parts.api.outbounds()).toHaveLength(outbounds.length + 2)
    told.length = 0
    await it.restart()
    expect(told.filter(({ message }) => message.includes('differed'))).toEqual([])
  })

  test('a start has the same ways out and rules', async () => {
    const xray = await running()
    await it.node.operations['xray.restart'](undefined, key())
    expect(await running()).toEqual(xray)
  })
})
