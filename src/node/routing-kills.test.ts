import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { OperationInput } from '#src/contract/index.ts'
import { systemRuntime } from '#src/runtime.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import { createFaultyNode } from '#test/support/faulty-node.ts'
import { silentLog } from '#test/support/silent-log.ts'

const socks = { tag: 'up', protocol: 'socks' as const, settings: { address: '192.0.2.1', port: 1080 } }
const hot: OperationInput<'routing.set'> = {
  outbounds: [socks],
  rules: [{ ruleTag: 'all', network: 'tcp', outboundTag: 'up' }],
}
const cases = [
  { kind: 'hot', input: hot },
  { kind: 'restart', input: { ...hot, domainStrategy: 'AsIs' as const, allowRestart: true } },
]

describe.each(['applying committed', 'hot-applied', 'result committed'] as const)(
  'a node killed at “%s”',
  (point) => {
    test.each(cases)(
      'of a change of its ways out ($kind) brings it to its end, once',
      async ({ kind, input }) => {
        const box = createSecretBox([{ id: 'k', key: Buffer.alloc(32, 1) }])
        const node = createFaultyNode({ box, runtime: systemRuntime(), log: silentLog(), name: 'de-1' })
        try {
          await node.start()
          const { api, process } = node.xray.parts
          const before = process.state().startedAt
          const context = { idempotencyKey: randomUUID() }
          node.faults.push(`killed: ${point}`)
          await expect(node.connector.routing.set(input, { context })).rejects.toMatchObject({
            code: 'SERVER_UNREACHABLE',
          })
          await node.start()

          expect((await api.outbounds()).map(({ tag }) => tag)).toEqual(['blocked', 'direct', 'up'])
          expect((await api.ruleTags()).slice(1)).toEqual(['rule-all', 'default'])
          const after = process.state().startedAt
          const done = await node.connector.routing.set(input, { context })
          expect(done).toMatchObject({ rowVersion: 1, applied: { how: kind } })
          // The one restart it took, and no second one for the same change.
          expect([after, process.state().startedAt]).toEqual(
            Array(2).fill(kind === 'hot' ? before : 'start 2'),
          )
        } finally {
          node.end()
        }
      },
    )
  },
)
