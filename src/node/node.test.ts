import { randomUUID } from 'node:crypto'
import { appendFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { inboundInput } from '#src/contract/index.ts'
import { person, plainInput as plain } from '#test/support/inputs.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { type WebTarget, fetchPage, freePort, startWebTarget } from '#test/support/xray-client.ts'
import { xrayPaths } from '#src/xray/life/process-types.ts'

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

describe('a node with a real Xray', () => {
  test('carries traffic for a client, counts it, and stops when the client is deleted', async () => {
    const { operations } = it.node
    const inbound = await operations['inbounds.add'](plain('in-1', await freePort()), key())
    const [anna] = await operations['clients.add']({ id: 'in-1', clients: [person('anna')] }, key())
    const link = anna?.links[0] ?? ''
    expect(await fetchThrough(link)).toBe(web.pageText)

    await expect
      .poll(async () => (await operations['traffic.clients'](undefined, {}))[0]?.down ?? 0, {
        timeout: 10_000,
      })
      .toBeGreaterThanOrEqual(web.pageText.length)
    await expect
      .poll(() => operations['inbounds.get']({ id: String(inbound.id) }, {}), { timeout: 10_000 })
      .toMatchObject({
        clientCount: 1,
        down: expect.toSatisfy((bytes: number) => bytes > web.pageText.length),
      })

    const reset = await operations['clients.resetTraffic']({ email: 'ANNA' }, key())
    expect([reset.up, reset.down]).toEqual([0, 0])
    expect((await operations['traffic.clients'](undefined, {}))[0]?.down).toBeGreaterThan(0)

    await operations['clients.delete']({ email: 'anna' }, key())
    await expect(fetchThrough(link)).rejects.toThrow()
  })

  test('answers for a client it has just added as for one that it reads', async () => {
    const { operations } = it.node
    await operations['inbounds.add'](plain('in-1', await freePort()), key())
    const clients = [
      { ...person('Anna'), comment: 'first' },
      { ...person('bert'), enabled: false },
    ]
    const added = await operations['clients.add']({ id: 'in-1', clients }, key())
    expect(added).toMatchObject(clients)
    // They stand in it already: nothing changes, and the answer comes from the rows.
    expect(await operations['clients.add']({ id: 'in-1', clients }, key())).toEqual(added)
  })

  test('keeps Xray over a restart of its own process, and agrees with it afterwards', async () => {
    const port = await freePort()
    await it.node.operations['inbounds.add'](plain('in-1', port), key())
    const [anna] = await it.node.operations['clients.add']({ id: 'in-1', clients: [person('anna')] }, key())
    const before = await it.node.operations['xray.restart'](undefined, key())
    await it.restart()
    const [bert] = await it.node.operations['clients.add']({ id: 'in-1', clients: [person('bert')] }, key())
    expect(await fetchThrough(anna?.links[0] ?? '')).toBe(web.pageText)
    expect(await fetchThrough(bert?.links[0] ?? '')).toBe(web.pageText)
    const { pid } = await it.node.operations['xray.start'](undefined, key())
    expect(pid).toBe(before.pid)
  })

  test('disables and enables a client and an inbound without a restart of Xray', async () => {
    const { operations } = it.node
    await operations['inbounds.add'](plain('in-1', await freePort()), key())
    const [anna] = await operations['clients.add']({ id: 'in-1', clients: [person('anna')] }, key())
    const link = anna?.links[0] ?? ''
    const { pid } = await operations['xray.start'](undefined, key())
    await operations['clients.update']({ email: 'anna', rowVersion: 1, enabled: false }, key())
    await expect(fetchThrough(link)).rejects.toThrow()
    await operations['clients.update']({ email: 'anna', enabled: true }, key())
    expect(await fetchThrough(link)).toBe(web.pageText)
    await operations['inbounds.update']({ id: 'in-1', enabled: false }, key())
    await expect(fetchThrough(link)).rejects.toThrow()
    await operations['inbounds.update']({ id: 'in-1', enabled: true }, key())
    expect(await fetchThrough(link)).toBe(web.pageText)
    expect((await operations['xray.start'](undefined, key())).pid).toBe(pid)
  })

  test('answers a repeated key with the first outcome and changes nothing', async () => {
    const { operations } = it.node
    const once = key()
    const input = plain('in-1', await freePort())
    const first = await operations['inbounds.add'](input, once)
    expect(await operations['inbounds.add'](input, once)).toEqual(first)
    expect(await operations['inbounds.list'](undefined, {})).toHaveLength(1)
    await expect(operations['inbounds.add']({ ...input, tag: 'other' }, once)).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
    })
    const restart = key()
    const { pid } = await operations['xray.restart'](undefined, restart)
    expect((await operations['xray.restart'](undefined, restart)).pid).toBe(pid)
  })

  test('refuses what cannot be, with a code, and changes nothing', async () => {
    const { operations } = it.node
    const port = await freePort()
    await operations['inbounds.add'](plain('in-1', port), key())
    const mark = it.db.prepare('select change_seq from sync_states').pluck().get()
    const refused = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code })
    await refused(operations['inbounds.add'](plain('in-1', port + 1), key()), 'INBOUND_TAG_TAKEN')
    await refused(operations['inbounds.add'](plain('in-2', port), key()), 'PORT_TAKEN')
    const webPort = Number(new URL(web.pageUrl).port)
    await refused(operations['inbounds.add'](plain('in-2', webPort), key()), 'PORT_TAKEN')
    await refused(operations['inbounds.delete']({ id: '99' }, key()), 'INBOUND_NOT_FOUND')
    await refused(operations['clients.delete']({ email: 'nobody' }, key()), 'CLIENT_NOT_FOUND')
    await refused(
      operations['inbounds.update']({ id: 'in-1', rowVersion: 7, remark: 'x' }, key()),
      'STALE_ROW_VERSION',
    )
    const twice = [person('anna'), person('ANNA')]
    await refused(operations['clients.add']({ id: 'in-1', clients: twice }, key()), 'BAD_INPUT')
    await refused(
      operations['clients.add']({ id: 'in-1', clients: [person('anna')] }, {}),
      'IDEMPOTENCY_KEY_REQUIRED',
    )
    expect(it.db.prepare('select change_seq from sync_states').pluck().get()).toBe(mark)
    await operations['clients.add']({ id: 'in-1', clients: [person('anna')] }, key())
    await refused(
      operations['clients.add']({ id: 'in-1', clients: [person('Anna')] }, key()),
      'CLIENT_NAME_TAKEN',
    )
  })

  test('puts the rows back when Xray refuses a change', async () => {
    const { operations } = it.node
    await operations['inbounds.add'](plain('in-1', await freePort()), key())
    const before = await operations['inbounds.list'](undefined, {})
    // An address this machine does not have: only Xray, when it listens, finds that out.
    const elsewhere = { ...plain('in-2', await freePort()), listen: '203.0.113.7' }
    await expect(operations['inbounds.add'](elsewhere, key())).rejects.toMatchObject({ retryable: false })
    expect(await operations['inbounds.list'](undefined, {})).toEqual(before)
    await operations['inbounds.add'](plain('in-2', await freePort()), key())
  })

  test('tells a mirror what changed, what went, and everything when its epoch is another', async () => {
    const { operations } = it.node
    await operations['inbounds.add'](plain('in-1', await freePort()), key())
    await operations['clients.add']({ id: 'in-1', clients: [person('anna'), person('bert')] }, key())
    const all = await operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
    expect(all).toMatchObject({ full: true, deleted: [] })
    expect(all.clients.map((client) => client.email)).toEqual(['anna', 'bert'])
    await operations['clients.delete']({ email: 'anna' }, key())
    const position = { epoch: all.epoch, since: all.changeSeq, trafficSince: all.trafficSeq }
    const later = await operations['sync.changes'](position, {})
    expect(later).toMatchObject({
      full: false,
      inbounds: [],
      clients: [],
      deleted: [{ kind: 'client', id: all.clients[0]?.id }],
    })
    const ahead = await operations['sync.changes']({ ...position, since: all.changeSeq + 100 }, {})
    expect(ahead.full).toBe(true)
  })

  test('stays stopped over a restart when an admin stopped Xray', async () => {
    await it.node.operations['xray.stop'](undefined, key())
    await it.restart()
    expect(await it.node.operations['server.health'](undefined, {})).toMatchObject({
      status: 'error',
      xrayRunning: false,
    })
    await it.node.operations['xray.start'](undefined, key())
    expect(await it.node.operations['server.health'](undefined, {})).toMatchObject({ status: 'online' })
  })

  test('keeps the log of Xray small, and finds a line before the rotation', async () => {
    const { log } = xrayPaths(join(it.dir, 'xray'))
    const rare = '2026/11/25 18:45:21.000000 [Error] rare'
    appendFileSync(log, `${rare}\n${'x'.repeat(99)}\n`.concat(`${'y'.repeat(99)}\n`.repeat(110_000)))
    await expect.poll(() => statSync(log).size, { timeout: 10_000 }).toBeLessThan(10_000)
    const logs = (level?: 'error') =>
      it.node.operations['system.logs']({ source: 'xray', lines: 1, level, contains: 'RARE' }, {})
    expect(await logs()).toEqual([rare])
    expect(await logs('error')).toEqual([rare])
    await expect(
      it.node.operations['system.logs']({ source: 'output', lines: 9 }, {}),
    ).resolves.toContainEqual(expect.stringMatching(/^Xray \d/))
  })

  test('no credential and no private key stands in clear in the file', async () => {
    const { operations } = it.node
    const reality = inboundInput.parse({
      tag: 'reality-1',
      protocol: 'vless',
      port: await freePort(),
      listen: '127.0.0.1',
      stream: {
        transport: { type: 'raw' },
        security: {
          type: 'reality',
          target: '127.0.0.1:443',
          serverNames: ['example.com'],
          shortIds: ['ab12'],
        },
      },
    })
    await operations['inbounds.add'](reality, key())
    const anna = person('anna')
    await operations['clients.add']({ id: 'reality-1', clients: [anna] }, key())
    const { config } = await operations['xray.config']({ reveal: true }, {})
    const privateKey = /"privateKey":"([^"]+)"/.exec(JSON.stringify(config))?.[1]
    expect(privateKey).toMatch(/^[\w-]{43}$/)
    it.db.pragma('wal_checkpoint(TRUNCATE)')
    const bytes = it.db.serialize().toString('latin1')
    for (const secret of [anna.uuid, anna.subscriptionId, privateKey ?? ''])
      expect(bytes).not.toContain(secret)
    expect(JSON.stringify(await operations['xray.config']({ reveal: false }, {}))).not.toContain(anna.uuid)
  })
})
