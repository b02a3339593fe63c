/** A real Xray that counts inbounds, or does not, when Hysteria2 comes: it restarts where it must, and once. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { inboundInput } from '#src/contract/index.ts'
import { freePort } from '#test/support/client-process.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'

let it: TestNode
const call = () => ({ idempotencyKey: randomUUID() })

beforeEach(async () => {
  it = await startTestNode()
})
afterEach(() => it.stop())

const pid = async () => (await it.node.operations['xray.start'](undefined, call())).pid
const restart = () => it.node.operations['xray.restart'](undefined, call())

async function addWireguard(): Promise<void> {
  const input = { tag: 'wg', protocol: 'wireguard', port: await freePort(), listen: '127.0.0.1' }
  await it.node.operations['inbounds.add'](inboundInput.parse(input), call())
}

async function addHysteria(): Promise<number> {
  const security = { type: 'tls', serverName: 'vpn.example' }
  const stream = { transport: { type: 'hysteria' }, security }
  const input = { tag: 'hy', protocol: 'hysteria2', port: await freePort(), listen: '127.0.0.1', stream }
  return (await it.node.operations['inbounds.add'](inboundInput.parse(input), call())).id
}

test('one that counts inbounds restarts, also where what it counted them for is gone', async () => {
  await addWireguard()
  await restart()
  await it.node.operations['inbounds.delete']({ id: 'wg' }, call())
  const before = await pid()
  await addHysteria()
  expect(await pid()).not.toBe(before)
})

test('one that has counted none since its start runs on', async () => {
  await addWireguard()
  const before = await pid()
  await addHysteria()
  expect(await pid()).toBe(before)
})

test('a kill after the restart, and before the outcome, leads to no other one', async () => {
  await addWireguard()
  await restart()
  const id = await addHysteria()
  const before = await pid()
  const nothing = { inbounds: [], clients: [], placements: [], clientTraffics: [], inboundTraffics: [] }
  it.db
    .prepare(
      "update applied_tasks set status = 'applying', undo = ?, result = null where operation = ? and key = ?",
    )
    .run(JSON.stringify({ ...nothing, scope: { inbounds: [id], clients: [] } }), 'inbounds.add', lastKey())
  await it.restart()
  expect(it.db.prepare("select count(*) from applied_tasks where status = 'applying'").pluck().get()).toBe(0)
  expect(await pid()).toBe(before)
})

function lastKey(): unknown {
  const newest =
    "select key from applied_tasks where operation = 'inbounds.add' order by finished_at desc limit 1"
  return it.db.prepare(newest).pluck().get()
}
