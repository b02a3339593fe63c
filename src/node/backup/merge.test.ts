import { clientInput } from '#src/contract/index.ts'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RestoreBackup } from '#src/contract/index.ts'
import { keyId } from '#src/trust/secret-box.ts'
import { backupOf, inParts, passphrase, restoreTo } from '#test/support/backup-files.ts'
import { type PaperNode, startPaperNode } from '#test/support/paper-node.ts'

let it: PaperNode
let all: PaperNode[]
const start = async (options?: Parameters<typeof startPaperNode>[0]): Promise<PaperNode> => {
  const node = await startPaperNode(options)
  all.push(node)
  return node
}
beforeEach(async () => {
  all = []
  it = await start()
})
afterEach(() => Promise.all(all.map((node) => node.stop())))

const once = () => ({ idempotencyKey: randomUUID() })
const emails = (of: PaperNode): unknown[] =>
  of.db.prepare('select email from clients where server_id = 1 order by email').pluck().all()
const idsOf = (of: PaperNode): unknown[] =>
  of.db
    .prepare(
      `select id || ' ' || email from clients where server_id = 1
       union all select id || ' ' || tag from inbounds where server_id = 1 order by 1`,
    )
    .pluck()
    .all()
const changes = (of: PaperNode) =>
  of.node.operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
const credentials = async (of: PaperNode, email: string) => {
  const { uuid, subscriptionId } = (await changes(of)).clients.find((row) => row.email === email) ?? {}
  return { uuid, subscriptionId }
}
const names = (...list: string[]): RestoreBackup => ({
  passphrase,
  deleted: { clients: list.map((email) => ({ email })), inbounds: [] },
})

describe('on a machine that is new', () => {
  let file: Buffer
  beforeEach(async () => {
    await it.addInbound('main', 443)
    await it.addInbound('spare', 444)
    await it.addClients('main', 'anna', 'bert', 'carl')
    await it.addClients('spare', 'anna2')
    await it.deleteClient('carl')
    file = await backupOf(it.node)
  })

  test('everything is as it was, under the same ids, and none is ever given again', async () => {
    const other = await start()
    const report = await restoreTo(other.node, file)
    expect(report).toMatchObject({ inbounds: { restored: 2 }, clients: { restored: 3, deleted: 0, kept: 0 } })
    expect(idsOf(other)).toEqual(idsOf(it))
    expect(await credentials(other, 'anna')).toEqual(await credentials(it, 'anna'))
    expect(other.served()).toEqual(it.served())
    expect(other.served()).toEqual(['main: anna bert', 'spare: anna2'])
    const before = it.db.prepare('select next_id from sync_states').pluck().get()
    expect(await other.addInbound('new', 445)).toBe(before)
  })

  test('what the controller has deleted since does not come back', async () => {
    const other = await start()
    const report = await restoreTo(other.node, file, {
      deleted: { clients: [{ email: 'BERT' }], inbounds: [{ inbound: 'spare' }] },
    })
    expect(report.clients).toMatchObject({ restored: 2, deleted: 1, names: { deleted: ['bert'] } })
    expect(report.inbounds).toMatchObject({ restored: 1, deleted: 1, names: { deleted: ['spare'] } })
    expect(other.served()).toEqual(['main: anna'])
    expect(emails(other)).toEqual(['anna', 'anna2'])
  })

  test('a name that was deleted and given again is another client: the time tells which', async () => {
    const later = Date.now() + 60_000
    const deleted = (at: number) => ({
      clients: [{ email: 'anna', at }],
      inbounds: [{ inbound: 'main', at }],
    })
    const [one, two] = [await start(), await start()]
    expect((await restoreTo(one.node, file, { deleted: deleted(1_000) })).clients.deleted).toBe(0)
    expect((await restoreTo(two.node, file, { deleted: deleted(later) })).clients.deleted).toBe(1)
  })

  test('an older backup, put back after it, does not bring back what that one knows to be deleted', async () => {
    const other = await start()
    await it.deleteClient('bert')
    await restoreTo(other.node, await backupOf(it.node))
    const report = await restoreTo(other.node, file)
    expect(report.clients).toMatchObject({ unchanged: 2, deleted: 1, names: { deleted: ['bert'] } })
    expect(report.inbounds).toMatchObject({ unchanged: 2 })
  })

  test('it may have rows by now: they stay, and the same client is the same', async () => {
    const other = await start()
    await other.addInbound('other', 500)
    const taken = await other.addInbound('main', 501)
    await other.addClients('other', 'zoe', 'bert')
    const { uuid, subscriptionId } = await credentials(it, 'anna')
    await other.node.operations['clients.add'](
      {
        id: 'other',
        clients: [clientInput.parse({ email: 'anna', uuid, subscriptionId, flow: '' })],
      },
      once(),
    )
    const bert = await credentials(other, 'bert')
    await other.deleteClient('zoe')
    await other.addClients('other', 'yara')
    const report = await restoreTo(other.node, file)
    expect(report).toMatchObject({
      // Of one name with the one that is here: as it was then, on its old port, under the id it has here.
      inbounds: { restored: 2, kept: 1, names: { kept: ['other'] } },
      clients: { restored: 2, taken: 1, kept: 2, names: { taken: ['bert'], kept: ['bert', 'yara'] } },
    })
    expect(await other.node.operations['inbounds.get']({ id: 'main' }, {})).toMatchObject({
      id: taken,
      port: 443,
    })
    expect(await credentials(other, 'bert')).toEqual(bert)
    expect(other.served()).toEqual(['main: anna', 'other: anna bert yara', 'spare: anna2'])
    const ids = (await changes(other)).clients.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('one with another key says which it needs, and opens it with that', async () => {
    const [theirs, ours] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)]
    const other = await start({ key: ours })
    const otherKey = { code: 'BACKUP_OTHER_KEY', details: { key: keyId(theirs) } }
    await expect(restoreTo(other.node, file)).rejects.toMatchObject(otherKey)
    const wrong = Buffer.alloc(32, 9).toString('base64')
    await expect(restoreTo(other.node, file, { key: wrong })).rejects.toMatchObject(otherKey)
    expect(emails(other)).toEqual([])

    const report = await restoreTo(other.node, file, { key: theirs.toString('base64') })
    expect(report.clients.restored).toBe(3)
    expect(await credentials(other, 'anna')).toEqual(await credentials(it, 'anna'))
    const sealed = other.db.prepare('select credentials from clients').pluck().all() as string[]
    expect(sealed.every((text) => text.startsWith(`${keyId(ours)}:`))).toBe(true)
    // And what leaves it now needs its own key alone.
    const again = await start({ key: ours })
    expect((await restoreTo(again.node, await backupOf(other.node))).clients.restored).toBe(3)
  })

  test('a key is asked for only of whoever knows the passphrase', async () => {
    const other = await start({ key: Buffer.alloc(32, 8) })
    await expect(restoreTo(other.node, file, names())).rejects.toMatchObject({ code: 'BACKUP_OTHER_KEY' })
    await expect(restoreTo(other.node, file, { passphrase: 'some other' })).rejects.toMatchObject({
      code: 'BACKUP_PASSPHRASE_WRONG',
    })
  })
})

describe('on the machine it is from', () => {
  test('placements are as they were, but for inbounds the backup knows nothing of', async () => {
    await it.addInbound('one', 443)
    await it.addInbound('two', 444)
    await it.addClients('one', 'anna')
    const file = await backupOf(it.node)
    const anna = {
      ...(await credentials(it, 'anna')),
      email: 'anna',
      flow: '' as const,
      enabled: true,
      comment: '',
    }
    const again = clientInput.parse({ ...anna })
    await it.addInbound('three', 445)
    for (const id of ['two', 'three'])
      await it.node.operations['clients.add']({ id, clients: [again] }, once())
    const before = (await changes(it)).clients[0]?.rowVersion ?? 0
    await restoreTo(it.node, file)
    expect(it.served()).toEqual(['one: anna', 'three: anna', 'two:'])
    expect((await changes(it)).clients[0]?.rowVersion).toBe(before + 1)
  })

  test('tags that have changed places get them back', async () => {
    const [a, b] = [await it.addInbound('a', 443), await it.addInbound('b', 444)]
    await it.addClients('a', 'anna')
    const file = await backupOf(it.node)
    const rename = (id: number, tag: string) =>
      it.node.operations['inbounds.update']({ id: String(id), tag }, once())
    await rename(a, 'x')
    await rename(b, 'a')
    await rename(a, 'b')
    expect(it.served()).toEqual(['a:', 'b: anna'])
    expect(await restoreTo(it.node, file)).toMatchObject({
      inbounds: { restored: 2 },
      clients: { unchanged: 1 },
    })
    expect(it.served()).toEqual(['a: anna', 'b:'])
    expect(idsOf(it)).toEqual([`${a} a`, `${b} b`, '3 anna'])
  })

  test('counters only grow: the larger of both is kept, also of what was reset', async () => {
    await it.addInbound('main', 443)
    await it.addClients('main', 'anna', 'bert')
    const set = it.db.prepare(
      `insert or replace into client_traffics (server_id, client_id, up, down, reset_up, reset_down, last_active_at, traffic_seq)
       values (1, ?, ?, ?, ?, ?, ?, 1)`,
    )
    const outbound = it.db.prepare(
      `insert or replace into outbound_traffics (server_id, tag, up, down, traffic_seq) values (1, ?, ?, ?, 1)`,
    )
    set.run(2, 100, 200, 50, 60, 1_000)
    set.run(3, 7, 7, 0, 0, 1_000)
    outbound.run('direct', 10, 10)
    outbound.run('gone', 3, 3)
    const file = await backupOf(it.node)
    set.run(2, 150, 190, 120, 10, null)
    outbound.run('direct', 30, 5)
    it.db.prepare("delete from outbound_traffics where tag = 'gone'").run()
    it.db.prepare('delete from client_traffics where client_id = 3').run()
    await restoreTo(it.node, file)
    const { traffic } = await changes(it)
    expect(traffic.clients).toEqual([
      { id: 2, up: 150, down: 200, resetUp: 120, resetDown: 60 },
      { id: 3, up: 7, down: 7, resetUp: 0, resetDown: 0 },
    ])
    expect(traffic.outbounds).toEqual([
      { tag: 'direct', up: 30, down: 10 },
      { tag: 'gone', up: 3, down: 3 },
    ])
  })

  test('a repeated key has one outcome; with another file it is a conflict', async () => {
    await it.addInbound('main', 443)
    await it.addClients('main', 'anna')
    const file = await backupOf(it.node)
    const key = randomUUID()
    await it.node.operations['clients.update']({ email: 'anna', enabled: false }, once())
    const first = await restoreTo(it.node, file, {}, key)
    expect(first.clients.restored).toBe(1)
    await it.node.operations['clients.update']({ email: 'anna', enabled: false }, once())
    expect(await restoreTo(it.node, file, names('anna'), key)).toEqual(first)
    expect((await changes(it)).clients[0]?.enabled).toBe(false)
    await expect(restoreTo(it.node, await backupOf(it.node), {}, key)).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
    })
    // The passphrase is not to be found out from what is kept of the request.
    const kept = JSON.stringify(it.db.prepare('select * from applied_tasks where key = ?').get(key))
    expect(kept).not.toContain(passphrase)
  })

  test('what cannot run is refused whole, and stays refused under its key', async () => {
    await it.addInbound('main', 443)
    const file = await backupOf(it.node)
    const key = randomUUID()
    await it.node.operations['inbounds.update']({ id: 'main', port: 500 }, once())
    await it.addInbound('new', 443)
    const refusal = { code: 'PORT_TAKEN', details: { port: 443, by: 'the inbound new' } }
    await expect(restoreTo(it.node, file, {}, key)).rejects.toMatchObject(refusal)
    await it.node.operations['inbounds.delete']({ id: 'new' }, once())
    await expect(restoreTo(it.node, file, {}, key)).rejects.toMatchObject(refusal)
    expect((await changes(it)).inbounds[0]?.port).toBe(500)
    expect((await restoreTo(it.node, file)).inbounds.restored).toBe(1)
    expect((await changes(it)).inbounds[0]?.port).toBe(443)
  })

  test('an Xray that cannot be told now is told with the next change', async () => {
    await it.addInbound('main', 443)
    await it.addClients('main', 'anna', 'bert')
    const file = await backupOf(it.node)
    await it.node.operations['clients.update']({ email: 'anna', enabled: false }, once())
    it.xray.failNext('XRAY_UNAVAILABLE', 1)
    expect((await restoreTo(it.node, file)).clients.restored).toBe(1)
    expect(it.served()).toEqual(['main: bert'])
    await it.addClients('main', 'carl')
    expect(it.served()).toEqual(['main: anna bert carl'])
  })

  test('a stream that breaks off changes nothing', async () => {
    await it.addInbound('main', 443)
    const file = await backupOf(it.node)
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* inParts(file.subarray(0, file.length - 1))
      throw new Error('the network is gone')
    }
    const input = { passphrase, deleted: { clients: [], inbounds: [] } }
    const before = await changes(it)
    await expect(it.node.operations['backups.restore'](input, once(), broken())).rejects.toThrow('network')
    expect(await changes(it)).toEqual(before)
  })
})
