import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLocalConnector } from '#src/connectors/local.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { bytesOf, inParts, passphrase } from '#test/support/backup-files.ts'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import { type PaperNode, startPaperNode } from '#test/support/paper-node.ts'
import type { Server } from './types.ts'

let house: FleetHouse
let machines: PaperNode[]
/** The machine that is the server now. */
let now: PaperNode
let server: Server

async function newMachine(): Promise<void> {
  now = await startPaperNode()
  machines.push(now)
}

beforeEach(async () => {
  machines = []
  await newMachine()
  // Whatever machine it is at the moment.
  const operations = new Proxy({} as NodeOperations, {
    get:
      (_, name) =>
      (...args: unknown[]): unknown =>
        (Reflect.get(now.node.operations, name) as (...given: unknown[]) => unknown)(...args),
  })
  house = await openFleetHouse({ connect: () => createLocalConnector(operations) })
  server = await house.join('de-1')
})
afterEach(async () => {
  await house.end()
  await Promise.all(machines.map((machine) => machine.stop()))
})

async function run(
  operation: 'clients.add' | 'clients.delete' | 'clients.update',
  input: object,
): Promise<void> {
  const targets = [{ serverId: server.id, input: input as never }]
  const { settled } = await house.fleet.tasks.run({ operation, targets, actor: alice })
  expect((await settled).map(({ status }) => status)).toEqual(['applied'])
}
const add = (...emails: string[]) =>
  run('clients.add', { id: 'main', clients: emails.map((email) => house.fleet.newClient(email)) })
const remove = (email: string) => run('clients.delete', { email })

async function makeBackup(): Promise<Buffer> {
  const { stream } = await house.fleet.backups.create({ serverId: server.id, passphrase, actor: alice })
  return bytesOf(stream)
}
const putBack = (file: Uint8Array, more: { passphrase?: string; id?: string } = {}) =>
  house.fleet.backups.restore({ serverId: server.id, passphrase, file: inParts(file), actor: alice, ...more })

const shown = (): string[] =>
  house.fleet.view
    .clients(server.id, { page: 0, size: 100 })
    .items.map(({ email, enabled }) => `${email}${enabled ? '' : ' off'}`)
    .toSorted()
const onRecord = () =>
  house.db.$client
    .prepare(
      `select operation, server_id as server, status, json_extract(error, '$.code') as code, actor, input
       from server_tasks where operation like 'backups.%' order by seq`,
    )
    .all() as { operation: string; status: string; code: string | null; actor: string; input: string }[]

describe('a backup of a server', () => {
  test('is put back, and the mirror begins afresh and agrees', async () => {
    await add('anna', 'bert', 'carl')
    const file = await makeBackup()
    await run('clients.update', { email: 'anna', enabled: false })
    await remove('bert')
    await add('dora')
    const epoch = () =>
      house.db.$client.prepare('select epoch from sync_states where server_id = ?').pluck().get(server.id)
    const before = epoch()
    expect(shown()).toEqual(['anna off', 'carl', 'dora'])

    const report = await putBack(file)
    expect(report.clients).toMatchObject({ restored: 1, unchanged: 1, deleted: 1, kept: 1 })
    // It has followed by the time the caller hears of it.
    expect(shown()).toEqual(['anna', 'carl', 'dora'])
    expect(epoch()).not.toBe(before)
    const links = house.fleet.view.clientByEmail(server.id, 'anna')
    expect(links).toMatchObject({ email: 'anna', enabled: true })
  })

  test('on a machine that is new does not bring back what the journal says was deleted', async () => {
    await add('anna', 'bert', 'carl')
    await remove('carl')
    const file = await makeBackup()
    await remove('bert')
    await remove('anna')
    await add('anna')
    await newMachine()
    const report = await putBack(file)
    // This anna is not the one of then: hers has yet to be sent again.
    expect(report.clients).toMatchObject({ restored: 0, deleted: 2 })
    expect(report.inbounds).toMatchObject({ restored: 1 })
    expect(shown()).toEqual([])
  })

  test('is on record: who, which server, and what came of it; not with what', async () => {
    await add('anna')
    const file = await makeBackup()
    const id = randomUUID()
    await putBack(file, { id })
    const again = await putBack(file, { id })
    expect(again.clients.unchanged).toBe(1)
    await expect(putBack(file, { passphrase: 'a wrong one' })).rejects.toMatchObject({
      code: 'BACKUP_PASSPHRASE_WRONG',
    })
    await expect(putBack(Buffer.from('x'))).rejects.toMatchObject({ code: 'NOT_A_BACKUP' })
    const { stream } = await house.fleet.backups.create({ serverId: server.id, passphrase, actor: alice })
    await stream[Symbol.asyncIterator]().return?.()
    const kept = onRecord()
    expect(kept.map(({ operation, status, code }) => [operation, status, code])).toEqual([
      ['backups.create', 'applied', null],
      ['backups.restore', 'applied', null],
      ['backups.restore', 'failed', 'BACKUP_PASSPHRASE_WRONG'],
      ['backups.create', 'cancelled', null],
    ])
    expect(JSON.parse(kept[1]?.actor ?? '')).toEqual(alice)
    expect(JSON.parse(kept[1]?.input ?? '')).toMatchObject({
      release: '1.2.3',
      createdAt: expect.any(Number) as number,
    })
    const bytes = house.bytesOnDisk()
    for (const secret of [passphrase, 'a wrong one']) expect(bytes.includes(secret)).toBe(false)
  })

  test('whose outcome nobody has heard is on record as that, and is not sent again by itself', async () => {
    await add('anna')
    const file = await makeBackup()
    now.node.operations['backups.restore'] = () => new Promise(() => undefined)
    const id = randomUUID()
    void putBack(file, { id }).catch(() => undefined)
    await expect.poll(() => onRecord().at(-1)?.code).toBe('OUTCOME_UNKNOWN')
    await house.restart('kill')
    expect(onRecord().at(-1)).toMatchObject({ status: 'failed', code: 'OUTCOME_UNKNOWN' })
    const { tasks } = await house.fleet.tasks.retryFailed(id, alice)
    expect(tasks).toEqual([])
    await add('bert')
    expect(onRecord()).toHaveLength(2)
  })

  test('of a server that is switched off is not tried', async () => {
    const file = await makeBackup()
    house.fleet.servers.setEnabled(server.id, false, alice)
    await expect(makeBackup()).rejects.toMatchObject({ code: 'SERVER_DISABLED' })
    await expect(putBack(file)).rejects.toMatchObject({ code: 'SERVER_DISABLED' })
    expect(onRecord()).toHaveLength(1)
  })
})
