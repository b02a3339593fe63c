import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '#test/support/client-process.ts'
import { type XrayServer, hysteriaInbound, plainInbound, startXrayServer } from '#test/support/xray-server.ts'
import type { XrayAccount, XrayModel } from '../config/model.ts'
import { nobodyOf } from '../config/render-inbound.ts'
import { isSameUser } from './user-message.ts'

type Inbound = XrayModel['inbounds'][number]
type Kind = XrayAccount['type']

const uuid = '66ad4540-b58c-4ad2-9926-ea63445a9b57'
const key = (byte: number): string => Buffer.alloc(16, byte).toString('base64')

/** By kind of account: one, and another of the same kind. */
const accounts = {
  vless: [
    { type: 'vless', id: uuid, flow: '' },
    { type: 'vless', id: uuid.replace('66', '77'), flow: '' },
  ],
  vmess: [
    { type: 'vmess', id: uuid },
    { type: 'vmess', id: uuid.replace('66', '77') },
  ],
  trojan: [
    { type: 'trojan', password: 'one+/=' },
    { type: 'trojan', password: 'other' },
  ],
  shadowsocks: [
    { type: 'shadowsocks', password: 'one', method: 'xchacha20-ietf-poly1305' },
    { type: 'shadowsocks', password: 'other', method: 'xchacha20-ietf-poly1305' },
  ],
  shadowsocks2022: [
    { type: 'shadowsocks2022', key: key(1) },
    { type: 'shadowsocks2022', key: key(2) },
  ],
  hysteria: [
    { type: 'hysteria', auth: 'one' },
    { type: 'hysteria', auth: 'other' },
  ],
} satisfies Partial<Record<Kind, [XrayAccount, XrayAccount]>>
const kinds = Object.keys(accounts) as (keyof typeof accounts)[]

/** Every protocol that takes users while it runs. */
async function inboundsOfAllKinds(): Promise<Inbound[]> {
  const of = async (tag: keyof typeof accounts, kind: object): Promise<Inbound> =>
    ({ ...plainInbound(tag, await freePort()), ...kind }) as Inbound
  const method2022 = '2022-blake3-aes-128-gcm'
  const secrets2022 = { shadowsocksKey: key(9), guard: Buffer.alloc(32, 8).toString('base64url') }
  return Promise.all([
    of('vless', {}),
    of('vmess', { protocol: 'vmess', settings: {} }),
    of('trojan', { protocol: 'trojan' }),
    of('shadowsocks', {
      protocol: 'shadowsocks',
      settings: { method: 'xchacha20-ietf-poly1305', network: 'tcp,udp' },
    }),
    of('shadowsocks2022', {
      protocol: 'shadowsocks',
      settings: { method: method2022, network: 'tcp,udp' },
      secrets: secrets2022,
    }),
    hysteriaInbound('hysteria', await freePort()),
  ])
}

describe('users of a running Xray, by kind of account', () => {
  let xray: XrayServer

  beforeAll(async () => {
    xray = await startXrayServer(await inboundsOfAllKinds())
  })
  afterAll(() => xray.stop())

  const present = async (tag: string) =>
    (await xray.api.users(tag)).filter(({ email }) => email !== nobodyOf(tag))

  it.each(kinds)('%s: added once, read back as it was told, replaced, and gone for good', async (kind) => {
    const [account, other] = accounts[kind]
    const user = { email: 'Аня & 🙂#7', account }
    const changed = { ...user, account: other }

    expect(await xray.api.addUser(kind, user)).toBe('applied')
    expect(await present(kind)).toEqual([user])
    // Shadowsocks of old would take it twice, and give up but one of the two.
    expect(await xray.api.addUser(kind, user)).toBe('unchanged')
    expect(await xray.api.addUser(kind, user, { replace: true })).toBe('unchanged')
    expect(await present(kind)).toEqual([user])

    expect(await xray.api.addUser(kind, changed)).toBe('unchanged')
    expect(await present(kind)).toEqual([user])
    expect(await xray.api.addUser(kind, changed, { replace: true })).toBe('applied')
    const [there] = await present(kind)
    expect(there).toEqual(changed)
    expect(there !== undefined && isSameUser(there, changed) && !isSameUser(there, user)).toBe(true)

    expect(await xray.api.removeUser(kind, user.email)).toBe('applied')
    expect(await xray.api.removeUser(kind, user.email)).toBe('unchanged')
    expect(await present(kind)).toEqual([])
  })
})
