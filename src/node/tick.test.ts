import { describe, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import type { FaultPoint } from '#src/faults.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { createFakeXray } from '#test/support/fake-xray.ts'
import { migratedDatabases } from '#test/support/migrated.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { type Node, createNode } from './node.ts'

const database = migratedDatabases()

/** A node with a fake Xray and a clock that stands. `pause` holds changes at a point until it is called again. */
async function setup() {
  const runtime = createFakeRuntime({ now: Date.UTC(2026, 0, 15) })
  const xray = createFakeXray()
  const db = database()
  let held: { point: FaultPoint; until: Promise<void> } | undefined
  const node = createNode(
    {
      db,
      box: createSecretBox([{ id: 'test', key: Buffer.alloc(32, 7) }]),
      runtime,
      log: silentLog(),
      binary: 'xray',
      dir: '/nowhere',
      installDir: '',
      migrations: [],
      version: '0',
      faults: { at: (point) => (point === held?.point ? held.until : undefined) },
    },
    xray.parts,
  )
  await node.start()
  const key = () => ({ idempotencyKey: runtime.uuid() })
  await node.operations['inbounds.add'](
    inboundInput.parse({
      tag: 'in-1',
      protocol: 'vless',
      port: 443,
      stream: { transport: { type: 'raw' }, security: { type: 'none' } },
    }),
    key(),
  )
  const add = (email: string, limitBytes: number | null = null) =>
    node.operations['clients.add'](
      {
        id: 'in-1',
        clients: [
          clientInput.parse({ email, uuid: runtime.uuid(), subscriptionId: 'subscription', limitBytes }),
        ],
      },
      key(),
    )
  return {
    runtime,
    xray,
    node,
    key,
    add,
    hold: (point: FaultPoint): (() => void) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = { point, until: promise }
      return resolve
    },
    counted: () => db.prepare('select sum(up) from client_traffics').pluck().get(),
  }
}

describe('what a node does with nobody watching', () => {
  test('reads and keeps limits every 10 s: who is over theirs is out within 15 s', async () => {
    const { runtime, xray, add } = await setup()
    await add('anna', 1_000)
    await add('bert')
    xray.carry('anna', 600, 600)
    xray.carry('bert', 600, 600)
    await runtime.advance(10_000)
    await expect.poll(() => [...(xray.inbounds.get('in-1')?.users.keys() ?? [])]).toEqual(['bert#1'])
  })

  test('never reads amid a change: what is counted while one is taken back stays counted', async () => {
    const { runtime, xray, node, key, add, hold, counted } = await setup()
    await add('anna')
    const release = hold('applying committed')
    xray.failNext('XRAY_REFUSED', 1)
    const deleted = node.operations['clients.delete']({ email: 'anna' }, key())
    xray.carry('anna', 500, 0)
    await runtime.advance(10_000)
    release()
    await expect(deleted).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    await expect.poll(counted).toBe(500)
  })

  test('amid a change that takes long, who is over theirs is out within 15 s, and counted as refused after it', async () => {
    const { runtime, xray, node, key, add, hold } = await setup()
    await add('anna', 1_000)
    await add('bert', 1_000)
    const release = hold('applying committed')
    const long = node.operations['clients.delete']({ email: 'bert' }, key())
    xray.carry('anna', 600, 600)
    await runtime.advance(12_500)
    const inside = () => [...(xray.inbounds.get('in-1')?.users.keys() ?? [])]
    await expect.poll(inside).toEqual(['bert#1'])
    release()
    await long
    await expect.poll(() => blocked(node)).toEqual({ anna: 'traffic' })
    expect(inside()).toEqual([])
  })

  test('who was turned away so, and is given more before it is counted, is let in again', async () => {
    const { runtime, xray, node, key, add, hold } = await setup()
    await add('anna', 1_000)
    await add('bert')
    const release = hold('applying committed')
    const long = node.operations['clients.delete']({ email: 'bert' }, key())
    const more = node.operations['clients.update']({ email: 'anna', limitBytes: 9_000 }, key())
    xray.carry('anna', 600, 600)
    await runtime.advance(12_500)
    const inside = () => [...(xray.inbounds.get('in-1')?.users.keys() ?? [])]
    await expect.poll(inside).toEqual(['bert#1'])
    release()
    await Promise.all([long, more])
    await expect.poll(inside).toEqual(['anna#1'])
    expect(await blocked(node)).toEqual({ anna: null })
  })
})

async function blocked(node: Node): Promise<Record<string, string | null>> {
  const { clients } = await node.operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
  return Object.fromEntries(clients.map((client) => [client.email, client.blocked]))
}
