import { describe, expect, it } from 'vitest'
import { contract, plainRouting, type RoutingDocument } from '#src/contract/index.ts'
import { plainInbound } from '#test/support/xray-server.ts'
import type { XrayModel } from './model.ts'
import { validateBeside, validateRouting } from './validate-routing.ts'

const set = contract.routing.set['~orpc'].inputSchema

/** As it comes from the contract: what is left out has its default. */
function routing(given: object): RoutingDocument {
  const {
    allowRestart: _,
    rowVersion: __,
    ...document
  } = set?.parse({ outbounds: [], rules: [], ...given }) ?? fails()
  return document
}
const fails = (): never => {
  throw new Error('routing.set takes no input')
}

const proxy = (tag: string, more: object = {}) => ({
  tag,
  protocol: 'socks',
  settings: { address: '192.0.2.1', port: 1080 },
  ...more,
})
const loopback = (tag: string, inboundTag: unknown) => ({
  tag,
  protocol: 'loopback',
  settings: { inboundTag },
})
const dialsBy = (dialerProxy: string) => ({ streamSettings: { sockopt: { dialerProxy } } })
const stream = (streamSettings: object) => routing({ outbounds: [proxy('a', { streamSettings })] })

const wrong = (document: RoutingDocument): unknown => {
  const error = validateRouting(document)
  return error === null ? null : `${String(error.details['field'])}: ${String(error.details['reason'])}`
}

describe('ways out and rules', () => {
  it('are taken where nothing is wrong', () => {
    expect(validateRouting(plainRouting)).toBeNull()
    const document = routing({
      outbounds: [
        proxy('warp', { streamSettings: { wsSettings: { path: '/ws', headers: { Origin: 'https://x' } } } }),
        proxy('over-warp', dialsBy('warp')),
        proxy('by-direct', { proxySettings: { tag: 'direct' } }),
        { tag: 'again', protocol: 'loopback', settings: { inboundTag: 'second-round' } },
        {
          tag: 'wg',
          protocol: 'wireguard',
          settings: { secretKey: '/bd5+/bd5+=', peers: [{ publicKey: '/a', preSharedKey: '/b' }] },
        },
      ],
      balancers: [{ tag: 'any', selector: ['warp', 'over'], fallbackTag: 'direct' }],
      rules: [
        { ruleTag: 'ads', domain: ['geosite:category-ads-all', 'regexp:^ad'], outboundTag: 'blocked' },
        { inboundTag: ['in-1'], outboundTag: 'again' },
        { inboundTag: ['second-round'], ip: ['geoip:!de'], balancerTag: 'any' },
      ],
      defaultOutbound: 'over-warp',
    })
    expect(wrong(document)).toBeNull()
  })

  it.each([
    ['a tag twice', { outbounds: [proxy('a'), proxy('a')] }, 'outbounds.1.tag: a is there twice'],
    ['our own tag', { outbounds: [proxy('direct')] }, 'outbounds.0.tag: direct is used by fleetgram itself'],
    [
      'a way through nothing',
      { outbounds: [proxy('a', dialsBy('b'))] },
      'outbounds.0: there is no outbound b to go through',
    ],
    [
      'ways through each other',
      { outbounds: [proxy('a', dialsBy('b')), proxy('b', { proxySettings: { tag: 'a' } })] },
      'outbounds: they go through each other: a → b → a',
    ],
    [
      'a rule to nothing',
      { rules: [{ network: 'tcp', outboundTag: 'a' }] },
      'rules.0.outboundTag: there is no outbound a',
    ],
    [
      'a rule to no balancer',
      { rules: [{ network: 'tcp', balancerTag: 'a' }] },
      'rules.0.balancerTag: there is no balancer a',
    ],
    [
      'rules of one name',
      { rules: [1, 2].map(() => ({ ruleTag: 'r', network: 'tcp', outboundTag: 'direct' })) },
      'rules.1.ruleTag: r is there twice',
    ],
    [
      'a balancer of nothing',
      { balancers: [{ tag: 'b', selector: ['x'] }] },
      'balancers.0.selector: no outbound begins with x',
    ],
    [
      'a balancer that falls back to nothing',
      { balancers: [{ tag: 'b', selector: ['direct'], fallbackTag: 'x' }] },
      'balancers.0.fallbackTag: there is no outbound x',
    ],
    ['no such default', { defaultOutbound: 'a' }, 'defaultOutbound: there is no outbound a'],
  ])('%s is refused', (_, given, reason) => {
    expect(wrong(routing(given))).toBe(reason)
  })

  it.each([
    ['a rule', { rules: [{ network: 'tcp', outboundTag: 'api' }] }],
    ['the default', { defaultOutbound: 'api' }],
    ['a balancer by a beginning of its tag', { balancers: [{ tag: 'b', selector: ['ap'] }] }],
    ['a balancer’s fallback', { balancers: [{ tag: 'b', selector: ['direct'], fallbackTag: 'api' }] }],
    ['another outbound', { outbounds: [proxy('a', dialsBy('api'))] }],
    [
      'another outbound in other letters',
      { outbounds: [proxy('a', { streamSettings: { SockOpt: { DialerProxy: 'api' } } })] },
    ],
    ['a proxy before it', { outbounds: [proxy('a', { proxySettings: { tag: 'api' } })] }],
    ['a loopback', { outbounds: [loopback('a', 'api')] }],
    [
      'a loopback in other letters',
      { outbounds: [{ tag: 'a', protocol: 'loopback', settings: { InboundTAG: 'api' } }] },
    ],
    [
      'a loopback named twice',
      { outbounds: [{ tag: 'a', protocol: 'loopback', settings: { inboundTag: 'x', inboundtag: 'api' } }] },
    ],
    ['a tag of its own', { outbounds: [proxy('api')] }],
    [
      'a reverse that comes in by its tag',
      { outbounds: [proxy('a', { settings: { reverse: { tag: 'api' } } })] },
    ],
    [
      'a reverse in letters Xray folds',
      { outbounds: [proxy('a', { settings: { 'rever\u017fe': { tag: 'api' } } })] },
    ],
  ])('the API of Xray is not reached through %s', (_, given) => {
    expect(wrong(routing(given))).not.toBeNull()
  })

  it.each([
    ['a file of a certificate', stream({ tlsSettings: { certificates: [{ certificateFile: 'a.pem' }] } })],
    ['a file of a key', stream({ tlsSettings: { certificates: [{ KEYFILE: 'a.pem' }] } })],
    ['a file that is written', stream({ tlsSettings: { masterKeyLog: 'keys' } })],
    ['options of the kernel', stream({ sockopt: { customSockopt: [{ opt: '1' }] } })],
    ['a page of files', stream({ hysteriaSettings: { masquerade: { type: 'file', dir: 'x' } } })],
    ['a path', routing({ outbounds: [proxy('a', { settings: { address: '/run/api.sock', port: 1 } })] })],
    ['an abstract socket', routing({ outbounds: [proxy('a', { settings: { address: '@api', port: 1 } })] })],
    ['a URL', stream({ tlsSettings: { echConfigList: 'https://192.0.2.1/dns-query' } })],
    ['a file of domains', routing({ rules: [{ domain: ['ext:any.dat:x'], outboundTag: 'direct' }] })],
    ['a file of addresses', routing({ rules: [{ ip: ['!EXT-IP:any.dat:x'], outboundTag: 'direct' }] })],
    ['a masked secret', routing({ outbounds: [proxy('a', { settings: { users: [{ pass: '***' }] } })] })],
  ])('%s is refused', (_, document) => {
    expect(wrong(document)).not.toBeNull()
  })

  it.each([
    ['by the default', { defaultOutbound: 'l' }],
    ['by a rule for everybody', { rules: [{ network: 'tcp', outboundTag: 'l' }] }],
    ['at once', { rules: [{ inboundTag: ['x'], outboundTag: 'l' }] }],
    [
      'by way of another',
      {
        rules: [
          { inboundTag: ['x'], balancerTag: 'b' },
          { inboundTag: ['y'], outboundTag: 'over' },
        ],
      },
    ],
  ])('what comes back from a loopback is not led to it again: %s', (_, more) => {
    const outbounds = [loopback('l', 'x'), loopback('m', 'y'), proxy('over', dialsBy('l'))]
    const balancers = [{ tag: 'b', selector: ['m'] }]
    expect(wrong(routing({ outbounds, balancers, ...more }))).toMatch(/loopback/)
    expect(
      wrong(routing({ outbounds, balancers, rules: [{ inboundTag: ['in'], outboundTag: 'l' }] })),
    ).toBeNull()
  })

  it.each(['(', 'a[', '*a', 'a(?=b)', '(?<!a)b', '(a)\\1'])('%s is no pattern that Xray reads', (pattern) => {
    const document = routing({ rules: [{ domain: [`regexp:${pattern}`], outboundTag: 'blocked' }] })
    expect(wrong(document)).toMatch(/no pattern/)
  })

  it.each(['^ads?\\.', '(?i)ads', '(?P<name>a|b)\\d{2,3}$', '[[:alpha:]]+', '\\.(?s:x)'])(
    '%s is one',
    (pattern) => {
      const document = routing({ rules: [{ domain: [`regexp:${pattern}`], outboundTag: 'blocked' }] })
      expect(wrong(document)).toBeNull()
    },
  )

  it('a ladder of ways with two steps each is walked once, not in every way', () => {
    const outbounds = Array.from({ length: 200 }, (_, i) =>
      proxy(`o${i}`, { ...(i < 199 && { ...dialsBy(`o${i + 1}`), proxySettings: { tag: `o${i + 1}` } }) }),
    )
    expect(wrong(routing({ outbounds, rules: [{ network: 'tcp', outboundTag: 'o0' }] }))).toBeNull()
  })

  it('what is deeper than any real outbound is refused before it is walked', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`) as object
    expect(set?.safeParse({ outbounds: [proxy('a', { settings: deep })], rules: [] }).success).toBe(false)
  })

  it('do not clash with inbounds, from whichever side', () => {
    const tunnel = {
      ...plainInbound('forward', 1),
      protocol: 'tunnel',
      settings: { target: 'x:1', network: 'tcp' },
    }
    const beside = (given: object, inbounds: unknown[] = [plainInbound('in-1', 1), tunnel]) =>
      validateBeside({ inbounds: inbounds as XrayModel['inbounds'], routing: routing(given) })
    expect(beside({ outbounds: [proxy('warp')] })).toBeNull()
    expect(beside({ outbounds: [proxy('in-1')] })).toMatchObject({ code: 'BAD_INPUT' })
    expect(beside({ outbounds: [loopback('a', 'in-1')] })).toBeNull()
    // A tunnel leads into private networks, so a client's connection must not come out of one.
    expect(beside({ outbounds: [loopback('a', 'forward')] })).toMatchObject({ code: 'BAD_INPUT' })
  })
})
