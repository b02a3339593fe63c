import { readMigrations } from '#src/store/migrate.ts'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { inboundInput } from '#src/contract/index.ts'
import { keyId } from '#src/trust/secret-box.ts'
import { backupOf, restoreTo } from '#test/support/backup-files.ts'
import { person, plainInput as plain } from '#test/support/inputs.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { startTlsTarget } from '#test/support/tls-target.ts'
import {
  type WebTarget,
  fetchPage,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'

let it: TestNode
let web: WebTarget
beforeEach(async () => {
  it = await startTestNode()
  web = await startWebTarget()
})
afterEach(async () => {
  await it.stop()
  await web.stop()
})

const key = () => ({ idempotencyKey: randomUUID() })

const fetchThrough = (link: string): Promise<string> => fetchPage(link, web.pageUrl)

/** A download that is to go on through what happens next. */
async function longDownload(link: string): Promise<{ goesOn(): Promise<void> }> {
  const app = await startXrayClient({ binary: xrayBinary(), link })
  const download = app.download(web.downloadUrl({ bytes: 50_000_000, rate: 200_000 }))
  const hasMoreThan = (bytes: number) =>
    expect.poll(() => download.received(), { timeout: 10_000 }).toBeGreaterThan(bytes)
  await hasMoreThan(0)
  return {
    async goesOn() {
      await hasMoreThan(download.received())
      download.cancel()
      await app.stop()
    },
  }
}

const addTo = async (tag: string, ...emails: string[]): Promise<string[]> => {
  const added = await it.node.operations['clients.add']({ id: tag, clients: emails.map(person) }, key())
  return added.map((client) => client.links[0] ?? '')
}
const health = () => it.node.operations['server.health'](undefined, {})
const xrayPid = async () => (await it.node.operations['xray.start'](undefined, key())).pid
const trafficOf = async (email: string): Promise<number> =>
  (await it.node.operations['traffic.clients'](undefined, {})).find((row) => row.email === email)?.down ?? 0

const startOf = async (email: string): Promise<number> => {
  const { clients } = await it.node.operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
  return clients.find((row) => row.email === email)?.startedAt ?? 0
}

describe('a backup put back on the server it is from', () => {
  test('brings back what was changed, keeps what is new, and leaves deleted what was deleted', async () => {
    const { operations } = it.node
    await operations['inbounds.add'](plain('in-1', await freePort()), key())
    const oldPort = await freePort()
    const second = await operations['inbounds.add'](plain('in-2', oldPort), key())
    const [anna = '', bert = '', carl = ''] = await addTo('in-1', 'anna', 'bert', 'carl')
    const [dora = ''] = await addTo('in-2', 'dora')
    expect(await fetchThrough(carl)).toBe(web.pageText)
    await expect.poll(() => trafficOf('carl'), { timeout: 10_000 }).toBeGreaterThan(0)
    expect(await fetchThrough(anna)).toBe(web.pageText)
    // The first use of a client is a change of its row.
    for (const email of ['anna', 'carl'])
      await expect.poll(() => startOf(email), { timeout: 10_000 }).toBeGreaterThan(0)
    const file = await backupOf(it.node)
    const then = await health()

    expect(await fetchThrough(carl)).toBe(web.pageText)
    await expect.poll(() => trafficOf('carl'), { timeout: 10_000 }).toBeGreaterThan(web.pageText.length * 2)
    const counted = await trafficOf('carl')
    await operations['clients.delete']({ email: 'bert' }, key())
    const [emil = ''] = await addTo('in-1', 'emil')
    await operations['clients.update']({ email: 'carl', enabled: false, comment: 'late' }, key())
    await operations['inbounds.update']({ id: String(second.id), port: await freePort() }, key())
    const pid = await xrayPid()
    const unchanged = await longDownload(anna)

    const report = await restoreTo(it.node, file)
    const none = { restored: 0, unchanged: 0, deleted: 0, taken: 0, kept: 0 }
    expect(report).toMatchObject({
      createdAt: expect.any(Number) as number,
      release: '0.0.0-test',
      schema: readMigrations('migrations').at(-1)?.name,
      inbounds: { ...none, restored: 1, unchanged: 1 },
      clients: {
        ...none,
        restored: 1,
        unchanged: 2,
        deleted: 1,
        kept: 1,
        names: { deleted: ['bert'], taken: [], kept: ['emil'] },
      },
    })

    for (const link of [carl, dora, emil]) expect(await fetchThrough(link)).toBe(web.pageText)
    await expect(fetchThrough(bert)).rejects.toThrow()
    expect((await operations['inbounds.get']({ id: 'in-2' }, {})).port).toBe(oldPort)
    expect(await trafficOf('carl')).toBeGreaterThanOrEqual(counted)
    await unchanged.goesOn()
    expect(await xrayPid()).toBe(pid)

    const now = await health()
    expect(now.epoch).not.toBe(then.epoch)
    expect(now.changeSeq).toBeGreaterThan(then.changeSeq)
    expect(now).toMatchObject({ status: 'online', lastError: null })
    expect(
      existsSync(join(it.dir, 'xray', 'backups')) && readdirSync(join(it.dir, 'xray', 'backups')),
    ).toEqual([])

    // Xray's file tells at our next start how it listens, and so whether anything must be opened anew.
    const config = JSON.parse(readFileSync(join(it.dir, 'xray', 'config.json'), 'utf8')) as {
      inbounds: { tag: string; port: number }[]
    }
    expect(config.inbounds.find(({ tag }) => tag === 'in-2')?.port).toBe(oldPort)
    await it.restart()
    expect(await fetchThrough(dora)).toBe(web.pageText)
    expect(await xrayPid()).toBe(pid)
  })
})

describe('a backup put back on a machine that is new', () => {
  test('has the old links carry traffic, though the machine has another key', async () => {
    const site = await startTlsTarget()
    const port = await freePort()
    const reality = inboundInput.parse({
      ...plain('reality', port),
      stream: {
        transport: { type: 'raw' },
        security: { type: 'reality', target: site.target, serverNames: ['site.example'], shortIds: ['ab12'] },
      },
    })
    await it.node.operations['inbounds.add'](reality, key())
    const [anna = '', bert = ''] = await addTo('reality', 'anna', 'bert')
    expect(await fetchThrough(anna)).toBe(web.pageText)
    const file = await backupOf(it.node)
    await it.stop()

    const theirs = Buffer.alloc(32, 7)
    it = await startTestNode({ key: Buffer.alloc(32, 8) })
    await expect(restoreTo(it.node, file)).rejects.toMatchObject({
      code: 'BACKUP_OTHER_KEY',
      details: { key: keyId(theirs) },
    })
    const other = await occupied(port)
    const key64 = theirs.toString('base64')
    await expect(restoreTo(it.node, file, { key: key64 })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      details: { port, by: 'another program' },
    })
    expect(await it.node.operations['inbounds.list'](undefined, {})).toEqual([])
    await other.close()

    const deleted = { clients: [{ email: 'bert' }], inbounds: [] }
    const report = await restoreTo(it.node, file, { key: key64, deleted })
    expect(report.clients).toMatchObject({ restored: 1, deleted: 1 })
    expect(await fetchThrough(anna)).toBe(web.pageText)
    await expect(fetchThrough(bert)).rejects.toThrow()
    await site.stop()
  })

  test('waits in the database while an admin has stopped Xray', async () => {
    await it.node.operations['inbounds.add'](plain('in-1', await freePort()), key())
    const [anna = ''] = await addTo('in-1', 'anna')
    const file = await backupOf(it.node)
    await it.stop()
    it = await startTestNode()
    await it.node.operations['xray.stop'](undefined, key())
    await restoreTo(it.node, file)
    expect(await health()).toMatchObject({ xrayRunning: false })
    await it.node.operations['xray.start'](undefined, key())
    expect(await fetchThrough(anna)).toBe(web.pageText)
  })
})

async function occupied(port: number): Promise<{ close(): Promise<void> }> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    async close() {
      server.close()
      await once(server, 'close')
    },
  }
}
