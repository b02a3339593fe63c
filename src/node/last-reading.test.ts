/** A real Xray that is ended on purpose: what it has counted is read as late as can be. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { contract } from '#src/contract/index.ts'
import { xrayPaths } from '#src/xray/life/process.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'

let it: TestNode
/** Whom the counters were read of, and the configuration that lay on the disk then. */
let readings: { life: string | null; file: string }[]
let isDumb: boolean
/** Xray's configuration; null: the node is just beginning. */
let config: string | null
let warnings: string[]
const call = () => ({ idempotencyKey: randomUUID() })

beforeEach(async () => {
  config = null
  readings = []
  warnings = []
  isDumb = false
  it = await startTestNode({
    log: { ...silentLog(), warn: (_details, text) => warnings.push(text) },
    // Of its own accord it reads nothing.
    node: { accountingIntervalMs: 600_000 },
    through: (real) => ({
      ...real,
      api: {
        ...real.api,
        async counters(containing) {
          if (isDumb) throw new Error('it says nothing')
          const { startedAt: life } = real.process.state()
          if (config !== null) readings.push({ life, file: readFileSync(config, 'utf8') })
          return real.api.counters(containing)
        },
      },
    }),
  })
  config = xrayPaths(join(it.dir, 'xray')).config
})
afterEach(() => it.stop())

const setRouting = (domainStrategy: string) => {
  const input = { outbounds: [], rules: [], domainStrategy, allowRestart: true }
  return it.node.operations['routing.set'](
    contract.routing.set['~orpc'].inputSchema?.parse(input) as never,
    call(),
  )
}

test('a restart reads it when the next configuration is made and on the disk, which takes its time', async () => {
  await setRouting('IPOnDemand')
  expect(readings).toHaveLength(1)
  expect(readings[0]).toMatchObject({ life: expect.any(String), file: expect.stringContaining('IPOnDemand') })
})

test.each(['xray.stop', 'xray.restart'] as const)('%s reads it once', async (operation) => {
  await it.node.operations[operation](undefined, call())
  expect(readings).toMatchObject([{ life: expect.any(String) }])
})

test('what could not be read is said, once the Xray that knew it is gone', async () => {
  isDumb = true
  await it.node.operations['xray.restart'](undefined, call())
  expect(warnings).toEqual([expect.stringContaining('counted')])
})
