import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { plainRouting } from '#src/contract/index.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { plainInbound, vlessUser, xrayModel } from '#test/support/xray-server.ts'
import type { XrayModel } from './model.ts'
import { makeRealityKeys } from './x25519.ts'
import { renderConfig } from './render.ts'
import { maskSecrets } from './secret-keys.ts'
import { testConfig } from './validate.ts'

const keys = makeRealityKeys()
const annId = '66ad4540-b58c-4ad2-9926-ea63445a9b57'
const ann = vlessUser('ann', annId)
const reality: XrayModel['inbounds'][number] = {
  ...plainInbound('reality', 8443, [vlessUser('ann', annId, 'xtls-rprx-vision')]),
  listen: '::1',
  secrets: { privateKey: keys.privateKey },
  stream: {
    transport: { type: 'raw' },
    security: {
      type: 'reality',
      target: 'site.example:443',
      serverNames: ['site.example'],
      shortIds: ['', '0123abcd'],
      fingerprint: 'firefox',
      publicKey: keys.publicKey,
    },
  },
}

describe('the configuration', () => {
  let dir: string

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'xray-'))
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  const check = (config: object): Promise<void> => testConfig(xrayBinary(), config)

  it.each([true, false])(
    'is one that Xray itself accepts (private targets: %s)',
    async (allowPrivateTargets) => {
      const model = { ...xrayModel(dir, [plainInbound('plain', 8080, [ann]), reality]), allowPrivateTargets }
      await check(renderConfig(model))
      await check(renderConfig({ ...model, inbounds: [] }))
    },
  )

  it('comes out the same every time', () => {
    const model = xrayModel(dir, [reality])
    expect(JSON.stringify(renderConfig(model))).toBe(JSON.stringify(renderConfig(structuredClone(model))))
  })

  it('lets only its owner open the API, and records nobody’s visits', () => {
    const config = renderConfig(xrayModel('/srv/x'))
    expect(config['log']).toMatchObject({ access: 'none', error: '/srv/x/logs/error.log' })
    expect(config.inbounds).toEqual([
      expect.objectContaining({
        listen: '/srv/x/api.sock,0600',
        settings: expect.objectContaining({ port: 1, network: 'unix' }),
      }),
    ])
  })

  it('blocks private targets unless they are asked for', () => {
    const guarded = JSON.stringify(renderConfig({ ...xrayModel(dir), allowPrivateTargets: false }))
    expect(guarded).toContain('127.0.0.0/8')
    expect(guarded).toContain('169.254.0.0/16')
    expect(guarded).not.toContain('finalRules')
    const open = JSON.stringify(renderConfig({ ...xrayModel(dir), allowPrivateTargets: true }))
    expect(open).not.toContain('127.0.0.0/8')
    expect(open).toContain('"finalRules":[{"action":"allow"}]')
  })

  it('lets nothing out but by a rule, keeps the API’s first, and never gives WireGuard the machine’s network', () => {
    const outbounds = [
      { tag: 'wg', protocol: 'wireguard' as const, settings: { secretKey: 'k', noKernelTun: false } },
    ]
    const rules = [{ user: ['a.n+'], outboundTag: 'wg' }]
    const model = { ...xrayModel(dir), routing: { ...plainRouting, outbounds, rules, defaultOutbound: 'wg' } }
    const config = renderConfig({ ...model, allowPrivateTargets: false })
    expect(config.outbounds.map(({ tag }) => tag)).toEqual(['blocked', 'direct', 'wg'])
    expect(config.outbounds[2]).toMatchObject({ settings: { noKernelTun: true } })
    expect(config.routing.rules).toEqual([
      { ruleTag: expect.stringMatching(/^api@[0-9a-f]{16}$/), inboundTag: ['api'], outboundTag: 'api' },
      expect.objectContaining({ ruleTag: 'private', outboundTag: 'blocked' }),
      { ruleTag: 'rule-0', user: ['regexp:(?i)^(?:a\\.n\\+)#\\d+$'], outboundTag: 'wg' },
      { ruleTag: 'default', network: 'tcp,udp', outboundTag: 'wg' },
    ])
    // Of the rules Xray tells names alone, so another rule of the same name is told by that of the first.
    const other = renderConfig({
      ...model,
      routing: { ...model.routing, rules: [{ user: ['b'], outboundTag: 'wg' }] },
      allowPrivateTargets: false,
    })
    expect(other.routing.rules[0]).not.toEqual(config.routing.rules[0])
  })

  it('is refused by Xray with its reason when it is wrong', async () => {
    const twice = plainInbound('twice', 8080, [ann, { ...ann, email: 'ANN' }])
    await expect(check(renderConfig(xrayModel(dir, [twice])))).rejects.toMatchObject({
      code: 'XRAY_REFUSED',
      details: { reason: 'failed to initiate user: User ANN already exists' },
    })
  })

  it('can be shown without its secrets', () => {
    const config = renderConfig(xrayModel(dir, [reality]))
    const shown = JSON.stringify(maskSecrets(config))
    for (const secret of [keys.privateKey, annId, '0123abcd']) {
      expect(JSON.stringify(config)).toContain(secret)
      expect(shown).not.toContain(secret)
    }
    expect(shown).toContain('site.example:443')
    expect(shown).toContain('"email":"ann"')
  })
})
