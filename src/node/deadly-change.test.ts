/** A real Xray that ends while it is told of a change, and one that ended just before. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { XrayParts } from '#src/node/xray-parts.ts'
import { findByArguments } from '#src/xray/proc.ts'
import { xrayArguments } from '#src/xray/process.ts'
import { parseXrayName } from '#src/xray/user-name.ts'
import { freePort } from '#test/support/client-process.ts'
import { person, plainInput } from '#test/support/inputs.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'

let it: TestNode
let parts: XrayParts
/** What Xray ends of. */
let deadly: string | null
const call = (idempotencyKey: string = randomUUID()) => ({ idempotencyKey })

function end(): void {
  const { pid } = parts.process.state()
  if (pid !== null) process.kill(pid, 'SIGKILL')
}

beforeEach(async () => {
  deadly = null
  it = await startTestNode({
    through(real) {
      parts = real
      return {
        ...real,
        async openInbound(inbound) {
          if (inbound.tag === deadly) end()
          return real.openInbound(inbound)
        },
      }
    },
  })
  await it.node.operations['inbounds.add'](plainInput('main', await freePort()), call())
}, 30_000)

afterEach(() => it.stop())

const comesBack = () =>
  expect.poll(() => parts.process.state(), { timeout: 10_000 }).toMatchObject({ running: true })

test('an Xray that ends of a change: that is taken back, refused for good, and what served serves', async () => {
  deadly = 'second'
  const { operations } = it.node
  const second = plainInput('second', await freePort())
  const refused = { code: 'XRAY_REFUSED', message: expect.stringContaining('ended by SIGKILL') }
  await expect(operations['inbounds.add'](second, call('k1'))).rejects.toMatchObject(refused)
  deadly = null
  await expect(operations['inbounds.add'](second, call('k1'))).rejects.toMatchObject(refused)
  expect((await operations['inbounds.list'](undefined, {})).map(({ tag }) => tag)).toEqual(['main'])
  await comesBack()
  expect((await parts.api.inboundTags()).toSorted()).toEqual(['api', 'main'])
  await operations['inbounds.add'](second, call('k2'))
  expect((await parts.api.inboundTags()).toSorted()).toEqual(['api', 'main', 'second'])
}, 30_000)

test('an Xray that has ended unnoticed is not taken for one that ends of a change', async () => {
  // Taken over it is no child of ours: nobody tells of its end.
  await it.restart()
  end()
  const args = xrayArguments(join(it.dir, 'xray'))
  await expect.poll(() => findByArguments(args), { interval: 5 }).toEqual([])
  await it.node.operations['clients.add']({ id: 'main', clients: [person('anna')] }, call())
  await comesBack()
  const users = await parts.api.users('main')
  expect(users.map(({ email }) => parseXrayName(email)?.email)).toEqual(['anna'])
}, 30_000)
