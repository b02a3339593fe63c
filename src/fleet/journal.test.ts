import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import { verifyChain } from './journal-chain.ts'
import type { Server } from './types.ts'

let house: FleetHouse
beforeEach(async () => {
  house = await openFleetHouse()
})
afterEach(() => house.end())

const run = (sql: string, ...values: unknown[]) => house.db.$client.prepare(sql).run(...values)
const chain = () => verifyChain(house.db.$client)

async function addClient(email: string, server: Server) {
  const client = house.fleet.newClient(email)
  const batch = await house.fleet.tasks.run({
    operation: 'clients.add',
    targets: [{ serverId: server.id, input: { id: 'main', clients: [client] } }],
    actor: alice,
  })
  return { client, batch }
}

test('what is done to servers is on record, by whom', async () => {
  const { id } = house.fleet.servers.create({ name: 'de', region: 'EU' }, alice)
  house.fleet.servers.invite(id, alice)
  house.fleet.servers.edit(id, { notes: 'rented' }, alice)
  house.fleet.servers.setEnabled(id, false, alice)
  house.fleet.servers.remove(id, alice)
  const rows = house.db.$client
    .prepare('select operation, server_id, input, actor, status from server_tasks order by seq')
    .all() as { operation: string; input: string; actor: string; status: string }[]
  expect(rows.map((row) => row.operation)).toEqual(
    ['create', 'invite', 'edit', 'enable', 'remove'].map((name) => `servers.${name}`),
  )
  expect(rows.map((row) => JSON.parse(row.actor) as unknown)).toEqual(rows.map(() => alice))
  expect(JSON.parse(rows[2]?.input ?? '')).toEqual({ notes: 'rented' })
  expect(new Set(rows.map((row) => row.status))).toEqual(new Set(['applied']))
  expect(chain()).toMatchObject({ intact: true, rows: 5 })
})

test.each([
  ['an input', `update server_tasks set input = '{"name":"other"}' where seq = 2`],
  ['an actor', `update server_tasks set actor = '{"kind":"system","id":"x"}' where seq = 2`],
  ['a time', 'update server_tasks set created_at = created_at - 1 where seq = 2'],
  ['text that is no JSON', `update server_tasks set input = '{' where seq = 2`],
  ['the order', 'update server_tasks set seq = case seq when 2 then -2 else seq end'],
])('changing %s breaks the chain', async (_what, sql) => {
  for (const name of ['a', 'b', 'c']) house.fleet.servers.create({ name }, alice)
  expect(chain()).toMatchObject({ intact: true, rows: 3 })
  run(sql)
  expect(chain().intact).toBe(false)
})

test('a row taken out breaks the chain at the next', async () => {
  for (const name of ['a', 'b', 'c']) house.fleet.servers.create({ name }, alice)
  run('delete from server_tasks where seq = 2')
  expect(chain()).toEqual({ intact: false, seq: 3 })
})

test('what becomes of a task does not break it', async () => {
  const de = await house.join('de')
  await (
    await addClient('bob', de)
  ).batch.settled
  expect(chain().intact).toBe(true)
})

test('no secret stands in clear on disk: not waiting, not mirrored, not failed', async () => {
  const de = await house.join('de')
  const added = await addClient('bob', de)
  await added.batch.settled
  house.nodeOf(de).failNext('XRAY_REFUSED', 1, { reason: 'no' })
  const failed = await addClient('carol', de)
  await failed.batch.settled
  house.nodeOf(de).offline = true
  const waiting = await addClient('dave', de)
  await waiting.batch.settled
  expect(house.fleet.view.clientByEmail(de.id, 'bob')?.uuid).toBe(added.client.uuid)

  const bytes = house.bytesOnDisk()
  // The search would find them: names are there.
  for (const email of ['bob', 'carol', 'dave']) expect(bytes.includes(email)).toBe(true)
  for (const { client } of [added, failed, waiting]) {
    expect(bytes.includes(client.uuid)).toBe(false)
    expect(bytes.includes(client.subscriptionId)).toBe(false)
    expect(bytes.includes(Buffer.from(client.uuid.replaceAll('-', ''), 'hex'))).toBe(false)
  }
  expect(JSON.stringify(house.fleet.tasks.batch(waiting.batch.id))).not.toContain(waiting.client.uuid)
})

test('sealed secrets are kept no longer than they may be needed', async () => {
  const de = await house.join('de')
  const secrets = (batch: string) =>
    house.db.$client.prepare('select secrets, result from server_tasks where batch = ?').get(batch)
  const added = await addClient('bob', de)
  await added.batch.settled
  expect(secrets(added.batch.id)).toEqual({ secrets: null, result: null })

  house.nodeOf(de).failNext('XRAY_REFUSED', 1, { reason: 'no' })
  const failed = await addClient('carol', de)
  await failed.batch.settled
  expect(secrets(failed.batch.id)).toMatchObject({ secrets: expect.any(String) as string })
  // Swept out a week later; then it cannot be tried again, rather than half of it.
  await house.restart('stop')
  house.runtime.skip(8 * 24 * 60 * 60 * 1000)
  await house.restart('stop')
  await vi.waitFor(() => expect(secrets(failed.batch.id)).toMatchObject({ secrets: null }))
  expect((await house.fleet.tasks.retryFailed(failed.batch.id, alice)).tasks).toEqual([])
})
