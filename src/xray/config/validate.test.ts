import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { plainInbound, startXrayServer, vlessUser, xrayModel } from '#test/support/xray-server.ts'
import { freePort } from '#test/support/xray-client.ts'
import type { XrayModel } from './model.ts'
import { makeRealityKeys } from './x25519.ts'
import { isPortFree } from '../life/ports.ts'
import { listensOverlap, validateModel } from './validate.ts'

const annId = '66ad4540-b58c-4ad2-9926-ea63445a9b57'
const ann = vlessUser('ann', annId)
const annWith = (flow: string) => vlessUser('ann', annId, flow)
const validate = (...inbounds: XrayModel['inbounds']): ReturnType<typeof validateModel> =>
  validateModel(xrayModel('/srv/x', inbounds))
const keys = makeRealityKeys()
const reality: XrayModel['inbounds'][number] = {
  ...plainInbound('reality', 8443),
  secrets: { privateKey: keys.privateKey },
  stream: {
    transport: { type: 'raw' },
    security: {
      type: 'reality',
      target: 'site.example:443',
      serverNames: ['site.example'],
      shortIds: [''],
      fingerprint: 'chrome',
      publicKey: keys.publicKey,
    },
  },
}

describe('our own rules', () => {
  it('pass what is right', () => {
    expect(validate()).toBeNull()
    expect(
      validate(plainInbound('a', 8080, [ann]), {
        ...reality,
        users: [annWith('xtls-rprx-vision')],
      }),
    ).toBeNull()
    expect(validate(plainInbound('a', 8080), { ...plainInbound('b', 8080), listen: '127.0.0.2' })).toBeNull()
  })

  it.each([0, -1, 1.5, 65_536, 99_999, Number.NaN])('refuse port %d', (port) => {
    expect(validate(plainInbound('a', port))).toMatchObject({ code: 'BAD_INPUT', details: { field: 'port' } })
  })

  it.each(['', 'api', 'direct', 'blocked'])('refuse the tag %j', (tag) => {
    expect(validate(plainInbound(tag, 8080))).toMatchObject({ code: 'BAD_INPUT', details: { field: 'tag' } })
  })

  it('refuse one tag or one port for two', () => {
    expect(validate(plainInbound('a', 8080), plainInbound('a', 8081))).toMatchObject({
      code: 'INBOUND_TAG_TAKEN',
      details: { tag: 'a' },
    })
    expect(
      validate(plainInbound('a', 8080), { ...plainInbound('b', 8080), listen: '0.0.0.0' }),
    ).toMatchObject({
      code: 'PORT_TAKEN',
      details: { port: 8080, by: 'the inbound a' },
    })
  })

  it('refuse a flow where none works, and one that Xray does not know', () => {
    const flow = { code: 'BAD_INPUT', details: { field: 'flow' } }
    expect(validate(plainInbound('a', 8080, [annWith('xtls-rprx-vision')]))).toMatchObject(flow)
    expect(validate({ ...reality, users: [annWith('xtls-rprx-direct')] })).toMatchObject(flow)
  })

  it('refuse one name for two clients of an inbound, and no name', () => {
    const email = { code: 'BAD_INPUT', details: { field: 'email' } }
    expect(validate(plainInbound('a', 8080, [ann, { ...ann, email: 'ANN' }]))).toMatchObject(email)
    expect(validate(plainInbound('a', 8080, [{ ...ann, email: '' }]))).toMatchObject(email)
  })

  it('refuse REALITY keys that do not belong together', () => {
    for (const secrets of [
      {},
      ...['', 'abc', makeRealityKeys().privateKey].map((privateKey) => ({ privateKey })),
    ]) {
      expect(validate({ ...reality, secrets })).toMatchObject({ code: 'BAD_INPUT' })
    }
  })
})

it.each([
  ['0.0.0.0', '127.0.0.1', true],
  ['127.0.0.1', '127.0.0.2', false],
  ['::', '127.0.0.1', true],
  ['::', '::1', true],
  ['0.0.0.0', '::1', false],
  ['::1', '0:0:0:0:0:0:0:1', true],
  ['0:0::0', '10.0.0.1', true],
  ['FE80::1', 'fe80::1', true],
])('listeners on %s and %s overlap: %s', (a, b, expected) => {
  expect(listensOverlap(a, b)).toBe(expected)
  expect(listensOverlap(b, a)).toBe(expected)
})

describe('a port', () => {
  it('is free when nobody listens', async () => {
    expect(await isPortFree('127.0.0.1', await freePort())).toBe(true)
    expect(await isPortFree('192.0.2.1', 8080)).toBe(false)
  })

  it('is taken by any program, also for all addresses at once', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    expect(await isPortFree('127.0.0.1', port)).toBe(false)
    expect(await isPortFree('0.0.0.0', port)).toBe(false)
    server.close()
  })

  it('is taken by an Xray, which would share it with another', async () => {
    const port = await freePort()
    const xray = await startXrayServer([plainInbound('main', port)])
    try {
      expect(await isPortFree('127.0.0.1', port)).toBe(false)
    } finally {
      await xray.stop()
    }
    expect(await isPortFree('127.0.0.1', port)).toBe(true)
  })
})
