import { describe, expect, it } from 'vitest'
import { plainRouting, type RoutingDocument } from '#src/contract/index.ts'
import { plainInbound, vlessUser, xrayModel } from '#test/support/xray-server.ts'
import { type ConfigDiff, diffConfigs, type RenderedConfig } from './diff.ts'
import type { XrayModel } from './model.ts'
import { renderConfig } from './render.ts'

const base = {
  ...xrayModel('/srv/x', [plainInbound('in-1', 1), plainInbound('in-2', 2)]),
  allowPrivateTargets: false,
}
const routed = (change: Partial<RoutingDocument>, model: XrayModel = base): RenderedConfig =>
  renderConfig({ ...model, routing: { ...plainRouting, ...change } })
const out = (tag: string, address = '192.0.2.1') =>
  ({ tag, protocol: 'socks', settings: { address, port: 1080 } }) as const
const rule = { network: 'tcp', outboundTag: 'a' } as const
const tunnel = {
  ...plainInbound('forward', 3),
  protocol: 'tunnel',
  settings: { target: '10.0.0.1:22', network: 'tcp' },
} as XrayModel['inbounds'][number]

const steps = ({ steps: all }: ConfigDiff): string[] =>
  all.map((step) => ('tag' in step ? `${step.do} ${step.tag}` : step.do))

describe('what lies between two configurations', () => {
  it('is nothing between equal ones, also when one comes back from a file', () => {
    const config = routed({ outbounds: [out('a')], rules: [rule] })
    const nothing = { steps: [], restart: [], changed: [] }
    expect(diffConfigs(config, structuredClone(config))).toEqual(nothing)
    expect(diffConfigs(JSON.parse(JSON.stringify(config)) as RenderedConfig, config)).toEqual(nothing)
  })

  it('is steps in an order in which no rule ever leads to what is not there', () => {
    const before = routed({ outbounds: [out('old'), out('a')], rules: [{ ...rule, outboundTag: 'old' }] })
    const after = routed({
      outbounds: [out('a', '192.0.2.2'), out('new')],
      rules: [{ ...rule, outboundTag: 'new' }],
    })
    const diff = diffConfigs(before, after)
    expect(steps(diff)).toEqual(['put outbound a', 'put outbound new', 'set routing', 'remove outbound old'])
    expect(diff.changed).toEqual([
      'outbound new added',
      'outbound a changed',
      'outbound old removed',
      'rules',
    ])
  })

  it('closes what changes of inbounds, and opens it after its rules are there', () => {
    const moved = { ...base, inbounds: [plainInbound('in-1', 9), tunnel] }
    expect(steps(diffConfigs(renderConfig(base), renderConfig(moved)))).toEqual([
      'close inbound in-2',
      'close inbound in-1',
      // A tunnel leads into private networks by a rule of its own.
      'set routing',
      'open inbound in-1',
      'open inbound forward',
    ])
    const open = { ...base, allowPrivateTargets: true }
    expect(
      steps(diffConfigs(renderConfig(open), renderConfig({ ...open, inbounds: [...base.inbounds, tunnel] }))),
    ).toEqual(['open inbound forward'])
  })

  it('is the way back, turned round', () => {
    const plain = routed({})
    const full = routed({ outbounds: [out('a')], rules: [rule], defaultOutbound: 'a' })
    expect(steps(diffConfigs(plain, full))).toEqual(['put outbound a', 'set routing'])
    expect(steps(diffConfigs(full, plain))).toEqual(['set routing', 'remove outbound a'])
  })

  it('is the rules alone where another default, balancer or open network is wanted', () => {
    const before = routed({ outbounds: [out('a'), out('b')] })
    const balancers = [{ tag: 'any', selector: ['a', 'b'], strategy: 'random' as const }]
    for (const change of [{ defaultOutbound: 'a' }, { balancers }, { privateAccess: ['10.0.0.0/8'] }])
      expect(steps(diffConfigs(before, routed({ outbounds: [out('a'), out('b')], ...change })))).toEqual([
        'set routing',
      ])
  })

  it('is a restart, with its reasons, where Xray reads a part only at its start', () => {
    const open = { ...base, allowPrivateTargets: true }
    const before = renderConfig(open)
    const reasons = (after: RenderedConfig) => {
      const { steps: none, restart } = diffConfigs(before, after)
      expect(none).toEqual([])
      return restart
    }
    expect(reasons(routed({ domainStrategy: 'AsIs' }, open))).toEqual(['domainStrategy'])
    for (const part of ['log', 'api', 'stats', 'policy', 'dns', 'observatory'])
      expect(reasons({ ...before, [part]: { other: true } })).toEqual([part])
    expect(reasons({ ...before, outbounds: before.outbounds.toReversed() })).toEqual(['first outbound'])
    expect(reasons(renderConfig({ ...open, apiSocket: '/srv/y/api.sock' }))).toEqual(['api inbound'])
    // Where private networks are closed every name is looked up in any case.
    expect(diffConfigs(renderConfig(base), routed({ domainStrategy: 'AsIs' })).restart).toEqual([])
  })

  it('knows nothing of users that Xray takes one by one', () => {
    const withUser = { ...base, inbounds: [plainInbound('in-1', 1, [vlessUser('ann#1', 'x')])] }
    const without = { ...base, inbounds: [plainInbound('in-1', 1)] }
    expect(steps(diffConfigs(renderConfig(without), renderConfig(without)))).toEqual([])
    // Whoever compares leaves them out: rendered with them, the inbound is another one.
    expect(steps(diffConfigs(renderConfig(without), renderConfig(withUser)))).toEqual([
      'close inbound in-1',
      'open inbound in-1',
    ])
  })
})
