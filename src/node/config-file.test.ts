import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { inboundInput } from '#src/contract/index.ts'
import { xrayPaths } from '#src/xray/life/process.ts'
import { freePort } from '#test/support/client-process.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'

const call = () => ({ idempotencyKey: randomUUID() })

let it: TestNode
beforeAll(async () => {
  it = await startTestNode({})
}, 60_000)
afterAll(() => it.stop())

test.each([
  ['tunnel', { settings: { target: '127.0.0.1:80' } }],
  ['wireguard', {}],
])('after a %s was added the file on the disk is what the next start would write', async (protocol, more) => {
  const input = { tag: protocol, protocol, port: await freePort(), listen: '127.0.0.1', ...more }
  await it.node.operations['inbounds.add'](inboundInput.parse(input), call())
  const { config } = await it.node.operations['xray.config']({ reveal: true }, {})
  const file: unknown = JSON.parse(await readFile(xrayPaths(join(it.dir, 'xray')).config, 'utf8'))
  expect(file).toEqual(config)
  expect(file).toMatchObject({ policy: { system: { statsInboundUplink: true, statsInboundDownlink: true } } })
})
