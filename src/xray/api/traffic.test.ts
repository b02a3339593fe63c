import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSocks } from '#test/support/socks-http.ts'
import { startTlsTarget } from '#test/support/tls-target.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import type { WebTarget, XrayClient } from '#test/support/xray-client.ts'
import { freePort, startWebTarget, startXrayClient } from '#test/support/xray-client.ts'
import type { XrayServer } from '#test/support/xray-server.ts'
import { idOf, plainInbound, startXrayServer, vlessUser, xrayModel } from '#test/support/xray-server.ts'
import { shareLink } from '../config/links.ts'
import type { XrayModel, XrayUser } from '../config/model.ts'
import { makeRealityKeys } from '../config/x25519.ts'
import { renderConfig } from '../config/render.ts'

type Inbound = XrayModel['inbounds'][number]

const ann = vlessUser('ann', '66ad4540-b58c-4ad2-9926-ea63445a9b57')
const bea = vlessUser('bea', '77ad4540-b58c-4ad2-9926-ea63445a9b58', 'xtls-rprx-vision')

function linkOf(inbound: Inbound, client: XrayUser): string {
  const uuid = idOf(client)
  const person = { id: 2, email: client.email, uuid, password: uuid, flow: 'xtls-rprx-vision' }
  const linked = { ...inbound, id: 1, remark: 'Test', linkSecrets: {} }
  return shareLink({ inbound: linked, client: person, host: '127.0.0.1' }) ?? ''
}

describe('traffic through a link', () => {
  let web: WebTarget
  let site: Awaited<ReturnType<typeof startTlsTarget>>
  let xray: XrayServer
  let plain: Inbound
  let reality: Inbound

  beforeAll(async () => {
    web = await startWebTarget()
    site = await startTlsTarget('site.example')
    const keys = makeRealityKeys()
    plain = plainInbound('plain', await freePort(), [ann])
    reality = {
      ...plainInbound('reality', await freePort(), [bea]),
      secrets: { privateKey: keys.privateKey },
      stream: {
        transport: { type: 'raw' },
        security: {
          type: 'reality',
          target: site.target,
          serverNames: ['site.example'],
          shortIds: ['0123abcd'],
          fingerprint: 'chrome',
          publicKey: keys.publicKey,
        },
      },
    }
    xray = await startXrayServer([plain, reality])
  })
  afterAll(async () => {
    await xray.stop()
    await Promise.all([web.stop(), site.stop()])
  })

  const withClient = async <T>(link: string, use: (client: XrayClient) => Promise<T>): Promise<T> => {
    const client = await startXrayClient({ binary: xrayBinary(), link })
    try {
      return await use(client)
    } finally {
      await client.stop()
    }
  }

  const downlinkOf = async (email: string): Promise<number> =>
    (await xray.api.counters()).get(`user>>>${email}>>>traffic>>>downlink`) ?? 0

  it.each(['plain', 'reality'])('loads a page by %s and counts it', async (kind) => {
    const [inbound, user] = kind === 'plain' ? [plain, ann] : [reality, bea]
    const before = await downlinkOf(user.email)
    await withClient(linkOf(inbound, user), async (client) => {
      expect(await client.get(web.pageUrl)).toEqual({ status: 200, body: web.pageText })
    })
    await expect
      .poll(() => downlinkOf(user.email), { timeout: 10_000 })
      .toBeGreaterThanOrEqual(before + web.pageText.length)
    const counters = await xray.api.counters()
    expect(counters.get('outbound>>>direct>>>traffic>>>downlink')).toBeGreaterThan(web.pageText.length)
    // Not its downlink: Xray leaves out the first piece of every answer there, and this page is one piece.
    expect(counters.get(`inbound>>>${kind}>>>traffic>>>uplink`)).toBeGreaterThan(0)
  })

  it('counts a Vision connection while it lasts, not only when it ends', async () => {
    await withClient(linkOf(reality, bea), async (client) => {
      const [host = '', port] = site.target.split(':')
      const tunnel = await openSocks(client.socksPort, host, Number(port), AbortSignal.timeout(10_000))
      // TLS 1.3 in TLS 1.3 is what Vision passes on untouched. The name is one that leads back here.
      const socket = connect({ socket: tunnel, servername: 'localhost', rejectUnauthorized: false })
      let received = 0
      socket.on('data', (bytes: Buffer) => (received += bytes.length))
      socket.write('go on')
      const before = await downlinkOf('bea')
      await expect.poll(() => received, { timeout: 20_000 }).toBeGreaterThan(500_000)
      await expect.poll(() => downlinkOf('bea'), { timeout: 10_000 }).toBeGreaterThan(before + 400_000)
      expect(socket.destroyed).toBe(false)
      socket.destroy()
    })
  })

  it('refuses a wrong key', async () => {
    const link = linkOf(reality, bea).replace(/pbk=[^&]+/, `pbk=${makeRealityKeys().publicKey}`)
    await withClient(link, async (client) => {
      await expect(client.get(web.pageUrl)).rejects.toThrow()
    })
  })

  it('lets a user in who is added while it runs, and out again; what stands is not cut', async () => {
    const cal = vlessUser('cal', '88ad4540-b58c-4ad2-9926-ea63445a9b59')
    await withClient(linkOf(plain, cal), async (client) => {
      await expect(client.get(web.pageUrl)).rejects.toThrow()
      await xray.api.addUser('plain', cal)
      expect((await client.get(web.pageUrl)).status).toBe(200)

      const download = client.download(web.downloadUrl({ bytes: 200_000, rate: 100_000 }))
      await expect.poll(() => download.received(), { timeout: 10_000 }).toBeGreaterThan(0)
      const seenAt = Math.floor(Date.now() / 1000)
      expect(await xray.api.online()).toContain('cal')
      const [online] = await xray.api.addresses(['nobody', 'cal'])
      expect(online?.ips.map(({ ip }) => ip)).toEqual(['127.0.0.9'])
      expect(Math.abs((online?.ips[0]?.lastSeen ?? 0) - seenAt)).toBeLessThan(30)

      await xray.api.removeUser('plain', 'cal')
      await expect(client.get(web.pageUrl)).rejects.toThrow()
      expect(await download.finished).toEqual({ bytes: 200_000, complete: true })
      await expect.poll(() => downlinkOf('cal'), { timeout: 10_000 }).toBeGreaterThanOrEqual(200_000)
    })
    await expect.poll(() => xray.api.online(), { timeout: 10_000 }).not.toContain('cal')
  })

  it('keeps clients out of the server’s own network unless that is asked for', async () => {
    const inbound = plainInbound('guarded', await freePort(), [ann])
    const urls = [web.pageUrl, web.pageUrl.replace('127.0.0.1', 'localhost')]
    const guarded = await startXrayServer([inbound])
    try {
      await withClient(linkOf(inbound, ann), async (client) => {
        for (const url of urls) expect((await client.get(url)).status).toBe(200)
        await guarded.process.restart(() =>
          renderConfig({ ...xrayModel(guarded.dir, [inbound]), allowPrivateTargets: false }),
        )
        // By name as well: it is resolved before the rules are asked again.
        for (const url of urls) await expect(client.get(url)).rejects.toThrow()
      })
    } finally {
      await guarded.stop()
    }
  })
})
