/** Outbounds and rules in a backup: what decides after it was put back is what decided when it was made. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { contract, type OperationInput } from '#src/contract/index.ts'
import { backupOf, restoreTo } from '#test/support/backup-files.ts'
import { person, plainInput } from '#test/support/inputs.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'

const key = () => ({ idempotencyKey: randomUUID() })
const exit = (address: string) => ({ tag: 'out', protocol: 'freedom' as const, sendThrough: address })
const rule = { ruleTag: 'mine', domain: ['full:localhost'], outboundTag: 'out' }

let it: TestNode
let web: WebTarget
let anna: XrayClient | undefined
beforeEach(async () => {
  ;[it, web] = await Promise.all([startTestNode(), startWebTarget()])
})
afterEach(() => Promise.all([it.stop(), web.stop(), anna?.stop()]))

function set(given: Partial<OperationInput<'routing.set'>>) {
  const input = contract.routing.set['~orpc'].inputSchema?.parse({ outbounds: [], rules: [], ...given })
  return it.node.operations['routing.set'](input as never, key())
}
const get = () => it.node.operations['routing.get']({ reveal: true }, {})
const pid = async () => (await it.node.operations['xray.start'](undefined, key())).pid
const from = async () => (await anna?.get(web.fromUrl.replace('127.0.0.1', 'localhost')))?.body

async function addClient(): Promise<void> {
  await it.node.operations['inbounds.add'](plainInput('in-1', await freePort()), key())
  const [added] = await it.node.operations['clients.add']({ id: 'in-1', clients: [person('anna')] }, key())
  anna = await startXrayClient({ binary: xrayBinary(), link: added?.links[0] ?? '' })
}

test('ways out and rules are as they were, however often they were changed since', async () => {
  await addClient()
  await set({ outbounds: [exit('127.0.0.5')], rules: [rule] })
  const file = await backupOf(it.node)
  expect((await restoreTo(it.node, file)).routing).toEqual({ outcome: 'unchanged', restartNeeded: false })
  await set({ outbounds: [exit('127.0.0.6')], rules: [{ ...rule, domain: ['full:other.example'] }] })
  const { rowVersion } = await set({ outbounds: [exit('127.0.0.6')], rules: [] })
  expect(await from()).toBe('127.0.0.1')
  const before = await pid()
  expect((await restoreTo(it.node, file)).routing).toEqual({ outcome: 'restored', restartNeeded: false })
  expect(await get()).toMatchObject({
    outbounds: [exit('127.0.0.5')],
    rules: [rule],
    rowVersion: rowVersion + 1,
  })
  expect(await from()).toBe('127.0.0.5')
  expect(await pid()).toBe(before)
})

test('a rule that was changed under its name is what it was', async () => {
  await addClient()
  await set({ outbounds: [exit('127.0.0.5')], rules: [rule] })
  const file = await backupOf(it.node)
  await set({ outbounds: [exit('127.0.0.5')], rules: [{ ...rule, domain: ['full:other.example'] }] })
  expect(await from()).toBe('127.0.0.1')
  await restoreTo(it.node, file)
  expect(await from()).toBe('127.0.0.5')
})

test('on a new machine they come with the rest, and credentials of ways out are sealed there', async () => {
  await addClient()
  await set({ outbounds: [exit('127.0.0.5')], rules: [rule] })
  const file = await backupOf(it.node)
  await it.stop()
  it = await startTestNode({ key: Buffer.alloc(32, 8) })
  const theirs = Buffer.alloc(32, 7).toString('base64')
  expect((await restoreTo(it.node, file, { key: theirs })).routing?.outcome).toBe('restored')
  expect(await from()).toBe('127.0.0.5')
})

test('where the backup says nothing of them they stay', async () => {
  const file = await backupOf(it.node)
  await set({ outbounds: [exit('127.0.0.5')], rules: [rule] })
  expect((await restoreTo(it.node, file)).routing?.outcome).toBe('kept')
  expect(await get()).toMatchObject({ rules: [rule] })
})

test('what only a start of Xray brings is told', async () => {
  await set({ domainStrategy: 'AsIs', allowRestart: true })
  const file = await backupOf(it.node)
  await set({ domainStrategy: 'IPOnDemand', allowRestart: true })
  const before = await pid()
  expect((await restoreTo(it.node, file)).routing).toEqual({ outcome: 'restored', restartNeeded: true })
  expect(await pid()).toBe(before)
})
