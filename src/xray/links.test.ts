import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { labelOf, outboundOf } from '#test/support/parse-link.ts'
import type { LinkSource } from './links.ts'
import { shareLink } from './links.ts'

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
const reality: LinkSource = {
  ...plain,
  inbound: {
    ...plain.inbound,
    stream: {
      transport: { type: 'raw' },
      security: {
        type: 'reality',
        target: 'site.example:443',
        serverNames: ['site.example', 'www.site.example'],
        shortIds: ['0123abcd', ''],
        fingerprint: 'firefox',
        publicKey,
      },
    },
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
