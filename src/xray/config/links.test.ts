import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { email as emailSchema } from '#src/contract/primitives.ts'
import { labelOf, outboundOf } from '#test/support/parse-link.ts'
import type { LinkSource } from './links.ts'
import { shareLink } from './links.ts'
import type { LinkedInbound } from './model.ts'
import { parseXrayName } from './user-name.ts'

const uuid = '66ad4540-b58c-4ad2-9926-ea63445a9b57'
const publicKey = 'Z84J2IelR9ch3k8VtlVhhs5ycBUlXA7wHBWcBrjqnAw'
const plain: LinkSource = {
  inbound: {
    id: 1,
    protocol: 'vless',
    settings: { fallbacks: [] },
    linkSecrets: {},
    tag: 'main',
    remark: 'Home & away #1',
    port: 8443,
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
  },
  client: { id: 2, email: 'ann', uuid, password: uuid, flow: '' },
  host: 'vpn.example',
}
const realitySecurity = {
  type: 'reality' as const,
  target: 'site.example:443',
  serverNames: ['site.example', 'www.site.example'],
  shortIds: ['0123abcd', ''],
  fingerprint: 'firefox' as const,
  publicKey,
}
const reality: LinkSource = {
  ...plain,
  inbound: {
    ...plain.inbound,
    stream: { transport: { type: 'raw' }, security: realitySecurity },
  },
  client: { id: 2, email: 'ann', uuid, password: uuid, flow: 'xtls-rprx-vision' },
}

/** Of an inbound that has one. */
const linkOf = (source: LinkSource): string => shareLink(source) ?? ''

describe('a share link', () => {
  it('has the shape apps read', () => {
    expect(linkOf(plain)).toBe(
      `vless://${uuid}@vpn.example:8443?encryption=none&type=tcp&security=none#Home%20%26%20away%20%231-ann`,
    )
    expect(linkOf(reality)).toBe(
      `vless://${uuid}@vpn.example:8443?encryption=none&type=tcp&security=reality&sni=site.example&fp=firefox` +
        `&pbk=${publicKey}&sid=0123abcd&spx=%2F&flow=xtls-rprx-vision#Home%20%26%20away%20%231-ann`,
    )
  })

  it('says the same to a reader of its own', () => {
    expect(outboundOf(linkOf(reality))).toEqual({
      protocol: 'vless',
      settings: {
        vnext: [
          {
            address: 'vpn.example',
            port: 8443,
            users: [{ id: uuid, encryption: 'none', flow: 'xtls-rprx-vision' }],
          },
        ],
      },
      streamSettings: {
        network: 'tcp',
        security: 'reality',
        realitySettings: {
          serverName: 'site.example',
          fingerprint: 'firefox',
          publicKey,
          shortId: '0123abcd',
          spiderX: '/',
        },
      },
    })
  })

  it('puts an IPv6 address into brackets', () => {
    const link = linkOf({ ...plain, host: '2001:db8::1' })
    expect(link).toContain('@[2001:db8::1]:8443?')
    expect(outboundOf(link)).toMatchObject({ settings: { vnext: [{ address: '2001:db8::1' }] } })
  })

  it('is named by the tag where there is no remark, or as it is told', () => {
    const inbound = { ...plain.inbound, remark: '' }
    expect(labelOf(linkOf({ ...plain, inbound }))).toBe('main-ann')
    expect(labelOf(linkOf({ ...plain, name: 'Мой сервер 🌍' }))).toBe('Мой сервер 🌍')
  })

  it('carries any name unharmed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
        const link = linkOf({ ...plain, name })
        expect(link).toMatch(/^[\x21-\x7e]+$/)
        expect(labelOf(link)).toBe(name)
        expect(outboundOf(link)).toMatchObject({ settings: { vnext: [{ port: 8443 }] } })
      }),
    )
  })
})

const tls = (alpn: ('h2' | 'h3' | 'http/1.1')[] = [], pin: string | null = null) =>
  ({
    type: 'tls',
    serverName: 'vpn.example',
    certificate: { source: 'own' },
    alpn,
    fingerprint: 'chrome',
    pin,
  }) as const
const pin = 'ab'.repeat(32)
const none = { type: 'none' } as const
const raw = { type: 'raw' } as const
const base = { id: 1, tag: 'main', remark: '', port: 443, linkSecrets: {} }
const password = 'pass+/=word'
const person = { id: 258, email: 'ann', uuid, password, flow: 'xtls-rprx-vision' }

/** One of each kind, with all that may stand in its link. */
const kinds: Record<string, LinkedInbound> = {
  vless: {
    ...base,
    protocol: 'vless',
    settings: { fallbacks: [] },
    stream: {
      transport: { type: 'ws', path: '/a&b', host: 'front.example' },
      security: tls(['http/1.1'], pin),
    },
  },
  'vmess grpc': {
    ...base,
    protocol: 'vmess',
    settings: {},
    stream: {
      transport: { type: 'grpc', serviceName: 'name', authority: 'front.example', multiMode: true },
      security: tls([], pin),
    },
  },
  'vmess reality': {
    ...base,
    protocol: 'vmess',
    settings: {},
    stream: { transport: { type: 'xhttp', path: '/x', host: '', mode: 'auto' }, security: realitySecurity },
  },
  trojan: {
    ...base,
    protocol: 'trojan',
    settings: { fallbacks: [] },
    linkSecrets: { obfuscation: 'seed-of-this' },
    stream: { transport: { type: 'mkcp', mtu: 1_200 }, security: none },
  },
  shadowsocks: {
    ...base,
    protocol: 'shadowsocks',
    settings: { method: 'chacha20-ietf-poly1305', network: 'tcp,udp' },
    stream: { transport: raw, security: none },
  },
  'shadowsocks http': {
    ...base,
    protocol: 'shadowsocks',
    settings: { method: 'aes-128-gcm', network: 'tcp' },
    stream: {
      transport: { type: 'raw', header: { type: 'http', path: '/', host: 'front.example' } },
      security: none,
    },
  },
  'shadowsocks ws': {
    ...base,
    protocol: 'shadowsocks',
    settings: { method: 'aes-128-gcm', network: 'tcp' },
    stream: { transport: { type: 'ws', path: '/a=b,c', host: '' }, security: tls([], null) },
  },
  'shadowsocks 2022': {
    ...base,
    protocol: 'shadowsocks',
    settings: { method: '2022-blake3-aes-128-gcm', network: 'tcp,udp' },
    linkSecrets: { shadowsocksKey: '+/+/AAAAAAAAAAAAAAAAAA==' },
    stream: { transport: raw, security: none },
  },
  hysteria2: {
    ...base,
    protocol: 'hysteria2',
    settings: {},
    linkSecrets: { obfuscation: 'salt' },
    stream: { transport: { type: 'hysteria', obfuscated: true }, security: tls([], pin) },
  },
  wireguard: {
    ...base,
    protocol: 'wireguard',
    settings: { mtu: 1_420, dns: '1.1.1.1', publicKey: `${'A+/'.repeat(14)}B=` },
    stream: { transport: raw, security: none },
  },
  mixed: {
    ...base,
    protocol: 'mixed',
    settings: { udp: true },
    stream: { transport: raw, security: none },
  },
}

const isEmail = (text: string): boolean => emailSchema.safeParse(text).data === text

/** With text in base64 opened, to be read. */
function opened(link: string): string {
  const json = /^vmess:\/\/([A-Za-z0-9+/=]+)$/.exec(link)?.[1]
  if (json !== undefined) return Buffer.from(json, 'base64').toString()
  return link.replace(/^(\w+):\/\/([\w-]+)@/, (whole, scheme: string, user: string) =>
    scheme === 'ss' || scheme === 'socks'
      ? `${scheme}://(${Buffer.from(user, 'base64url').toString()})@`
      : whole,
  )
}

describe('the link of each protocol', () => {
  it('has the shape its apps read', () => {
    const links = Object.fromEntries(
      Object.entries(kinds).map(([name, inbound]) => [
        name,
        opened(linkOf({ inbound, client: person, host: 'vpn.example', name: 'N' })),
      ]),
    )
    expect(links).toMatchInlineSnapshot(`
      {
        "hysteria2": "hysteria2://pass%2B%2F%3Dword@vpn.example:443?security=tls&sni=vpn.example&alpn=h3&insecure=1&pinSHA256=abababababababababababababababababababababababababababababababab&obfs=salamander&obfs-password=salt#N",
        "mixed": "socks://(ann#1:pass+/=word)@vpn.example:443#N",
        "shadowsocks": "ss://(chacha20-ietf-poly1305:pass+/=word)@vpn.example:443#N",
        "shadowsocks 2022": "ss://2022-blake3-aes-128-gcm:%2B%2F%2B%2FAAAAAAAAAAAAAAAAAA%3D%3D:49E82AC%2BZbMTJhqgtn4HwA%3D%3D@vpn.example:443#N",
        "shadowsocks http": "ss://(aes-128-gcm:pass+/=word)@vpn.example:443?plugin=obfs-local%3Bobfs%3Dhttp%3Bobfs-host%3Dfront.example%3Bpath%3D%2F#N",
        "shadowsocks ws": "ss://(aes-128-gcm:pass+/=word)@vpn.example:443?type=ws&path=%2Fa%3Db%2Cc&security=tls&sni=vpn.example&fp=chrome&plugin=v2ray-plugin%3Bmode%3Dwebsocket%3Bhost%3Dvpn.example%3Bpath%3D%2Fa%5C%3Db%5C%2Cc%3Btls%3Bmux%3D0#N",
        "trojan": "trojan://pass%2B%2F%3Dword@vpn.example:443?type=kcp&headerType=none&seed=seed-of-this&mtu=1200&security=none#N",
        "vless": "vless://66ad4540-b58c-4ad2-9926-ea63445a9b57@vpn.example:443?encryption=none&type=ws&path=%2Fa%26b&host=front.example&security=tls&sni=vpn.example&fp=chrome&alpn=http%2F1.1&pcs=abababababababababababababababababababababababababababababababab#N",
        "vmess grpc": "{"v":"2","ps":"N","add":"vpn.example","port":"443","id":"66ad4540-b58c-4ad2-9926-ea63445a9b57","aid":"0","scy":"auto","net":"grpc","type":"multi","host":"front.example","path":"name","tls":"tls","sni":"vpn.example","fp":"chrome","alpn":"","pcs":"abababababababababababababababababababababababababababababababab"}",
        "vmess reality": "vmess://66ad4540-b58c-4ad2-9926-ea63445a9b57@vpn.example:443?encryption=auto&type=xhttp&path=%2Fx&mode=auto&security=reality&sni=site.example&fp=firefox&pbk=Z84J2IelR9ch3k8VtlVhhs5ycBUlXA7wHBWcBrjqnAw&sid=0123abcd&spx=%2F#N",
        "wireguard": "wireguard://OMhIUIMJhK%2FC%2BNTTe2o54vbHGOfXtr1sCuGBvbsWfXI%3D@vpn.example:443?publickey=A%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FA%2B%2FB%3D&address=10.0.1.2%2F32&mtu=1420&dns=1.1.1.1#N",
      }
    `)
  })

  it.each(Object.keys(kinds))('%s: any name, any password and any host survive', (kind) => {
    const inbound = kinds[kind]
    if (inbound === undefined) throw new Error('no such kind')
    const anyPassword = fc.stringMatching(/^[A-Za-z0-9_=+/.-]{8,128}$/)
    const anyHost = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().filter((host) => isIPv6(host)),
    )
    const anyEmail = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(isEmail)
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1 }),
        anyEmail,
        anyPassword,
        anyHost,
        (name, email, secret, host) => {
          const client = { ...person, email, password: secret }
          const link = linkOf({ inbound, client, host, name })
          expect(link).toMatch(/^[\x21-\x7e]+$/)
          expect(labelOf(link)).toBe(name)
          const there = JSON.stringify(outboundOf(link).settings)
          const endpoint = `${isIPv6(host) ? `[${host}]` : host}:443`
          expect(there).toContain(inbound.protocol === 'wireguard' ? endpoint : `"address":"${host}"`)
          if (['trojan', 'shadowsocks', 'mixed'].includes(kind)) expect(there).toContain(`"${secret}"`)
          if (kind === 'hysteria2') {
            expect(outboundOf(link)).toMatchObject({
              streamSettings: { hysteriaSettings: { auth: secret } },
            })
          }
          if (kind === 'mixed') {
            const user = (JSON.parse(there) as { servers: { users: { user: string }[] }[] }).servers[0]?.users
            expect(parseXrayName(user?.[0]?.user ?? '')).toEqual({ email, inboundId: 1 })
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('of Shadowsocks over WebSocket names a plugin only where that tells all of it', () => {
    const withPlugin = (stream: LinkedInbound['stream']): boolean => {
      const settings = { method: 'aes-128-gcm', network: 'tcp' } as const
      const inbound: LinkedInbound = { ...base, protocol: 'shadowsocks', settings, stream }
      return linkOf({ inbound, client: person, host: 'vpn.example' }).includes('plugin=')
    }
    const ws = (path: string, host: string) => ({ type: 'ws', path, host }) as const
    expect(withPlugin({ transport: ws('/', ''), security: none })).toBe(true)
    expect(withPlugin({ transport: ws('/', 'front.example'), security: none })).toBe(true)
    expect(withPlugin({ transport: ws('/', 'vpn.example'), security: tls([], null) })).toBe(true)
    // Apps take the host for the name in TLS, know no pins there, and part options by semicolons.
    expect(withPlugin({ transport: ws('/', 'front.example'), security: tls([], null) })).toBe(false)
    expect(withPlugin({ transport: ws('/', ''), security: tls([], pin) })).toBe(false)
    expect(withPlugin({ transport: ws('/a;b', ''), security: none })).toBe(false)
  })

  it('is none for a tunnel, which has no clients', () => {
    const inbound: LinkedInbound = {
      ...base,
      protocol: 'tunnel',
      settings: { target: '192.0.2.1:80', network: 'tcp' },
      stream: { transport: raw, security: none },
    }
    expect(shareLink({ inbound, client: person, host: 'vpn.example' })).toBeNull()
  })
})
