import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { DAY_MS } from '#src/runtime.ts'
import { type Db, tables } from '#src/store/drizzle.ts'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { createRefusals } from './refused.ts'

let house: FleetHouse
let woken = 0
let mayHear = true
beforeEach(async () => {
  woken = 0
  mayHear = true
  house = await openFleetHouse({
    refused: (db: Db, change) =>
      createRefusals({
        db,
        runtime: house.runtime,
        log: silentLog(),
        mayHear: () => mayHear,
        wake() {
          woken++
          throw new Error('its database is busy')
        },
      })(change),
  })
})
afterEach(() => house.end())

const waiting = () => house.db.select().from(tables.outbox).all()

/** Asks for a client on a server that is away. @returns its batch */
async function askFor(email: string, { id }: Server): Promise<string> {
  house.nodeOf(id).offline = true
  const input = { id: 'main', clients: [house.fleet.newClient(email)] }
  const targets = [{ serverId: id, input }]
  const batch = await house.fleet.tasks.run({ operation: 'clients.add', targets, actor: alice })
  expect(await batch.settled).toMatchObject([{ status: 'pending' }])
  return batch.id
}

/** It is there again, and refuses so many changes. */
async function comeBack({ id }: Server, refusals: number): Promise<void> {
  const node = house.nodeOf(id)
  node.offline = false
  node.failNext('INBOUND_NOT_FOUND', refusals, { inbound: 'main' })
  house.fleet.tasks.kick(id)
  await vi.waitFor(() => expect(house.fleet.tasks.open(id)).toEqual([]), { timeout: 10_000 })
}

test('changes that waited for a server and are refused at its return are told to who asked, in one message', async () => {
  const [de, nl] = [await house.join('de'), await house.join('nl')]
  const batches = [await askFor('anna', de), await askFor('bert', de), await askFor('carl', de)]
  await askFor('dora', nl)
  house.runtime.skip(2 * DAY_MS)
  await comeBack(de, 2)
  await comeBack(nl, 1)

  const reason = { code: 'INBOUND_NOT_FOUND', details: { inbound: 'main' } }
  const [ofDe, ofNl, ...more] = waiting()
  expect(more).toEqual([])
  expect(ofDe).toMatchObject({
    chat: '7',
    kind: 'changesRefused',
    status: 'queued',
    silent: false,
    payload: {
      serverId: de.id,
      serverName: 'de',
      count: 2,
      changes: batches.slice(0, 2).map((batch) => ({ batch, reason })),
    },
  })
  // A moment later, so that what else is refused comes in the same message.
  expect(ofDe?.nextAttemptAt).toBe((ofDe?.createdAt ?? 0) + 3_000)
  expect(ofNl).toMatchObject({ payload: { serverId: nl.id, count: 1 } })
  expect(woken).toBe(3)
})

test('more than ten are counted', async () => {
  const de = await house.join('de')
  for (let n = 0; n < 12; n++) await askFor(`client-${n}`, de)
  house.runtime.skip(DAY_MS)
  await comeBack(de, 12)
  expect(waiting()[0]?.payload).toMatchObject({ count: 12, changes: { length: 10 } })
})

test('what expires is told', async () => {
  const de = await house.join('de')
  await askFor('anna', de)
  house.runtime.skip(8 * DAY_MS)
  house.fleet.tasks.kick(de.id)
  await vi.waitFor(() => expect(waiting()).toHaveLength(1), { timeout: 10_000 })
  expect(waiting()[0]?.payload).toMatchObject({ changes: [{ reason: { code: 'TASK_EXPIRED' } }] })
})

test('it is on record with the outcome: who kills us in between loses neither', async () => {
  const de = await house.join('de')
  await askFor('anna', de)
  house.runtime.skip(DAY_MS)
  await comeBack(de, 1)
  await house.restart('kill')
  expect(waiting()).toHaveLength(1)
  house.fleet.tasks.kick(de.id)
  await house.restart('stop')
  expect(waiting()).toHaveLength(1)
})

test('who still looks on is answered there, and who may not hear of the fleet any more is told nothing', async () => {
  const [de, nl] = [await house.join('de'), await house.join('nl')]
  await askFor('anna', de)
  house.runtime.skip(30_000)
  await comeBack(de, 1)
  mayHear = false
  await askFor('bert', nl)
  house.runtime.skip(DAY_MS)
  await comeBack(nl, 1)
  expect(waiting()).toEqual([])
})
