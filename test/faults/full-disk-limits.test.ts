import { randomUUID } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { mountSmallDisk } from '#test/support/small-disk.ts'
import { startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort, startWebTarget, startXrayClient } from '#test/support/xray-client.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const key = () => ({ idempotencyKey: randomUUID() })

test('on a full disk who is over a limit is refused all the same, and counted so once there is room', async () => {
  // Where nothing may be mounted, a database that takes no writes stands in.
  const disk = await mountSmallDisk(16)
  if (disk !== undefined) ends.push(() => disk.end())
  const it = await startTestNode(disk === undefined ? {} : { parent: disk.dir })
  ends.push(() => it.stop())
  const { operations } = it.node
  const web = await startWebTarget()
  ends.push(() => web.stop())
  const stream = { transport: { type: 'raw' }, security: { type: 'none' } }
  const port = await freePort()
  await operations['inbounds.add'](
    inboundInput.parse({ tag: 'in-1', protocol: 'vless', port, listen: '127.0.0.1', stream }),
    key(),
  )
  async function enter(email: string, limits: object) {
    const given = { email, uuid: randomUUID(), subscriptionId: randomUUID(), flow: '', ...limits }
    const [client] = await operations['clients.add'](
      { id: 'in-1', clients: [clientInput.parse(given)] },
      key(),
    )
    const app = await startXrayClient({
      binary: xrayBinary(),
      link: client?.links[0] ?? '',
      localAddress: '127.0.0.9',
    })
    ends.push(() => app.stop())
    return app
  }
  const anna = await enter('anna', { limitBytes: 300_000 })
  const bert = await enter('bert', { expiresAt: Date.now() + 6_000 })
  const carl = await enter('carl', { limitBytes: 300_000 })
  const isServed = (app: typeof anna): Promise<boolean> =>
    app.get(web.pageUrl).then(
      () => true,
      () => false,
    )
  expect(await Promise.all([anna, bert, carl].map(isServed))).toEqual([true, true, true])
  const blocked = () =>
    it.db.prepare('select email, blocked from clients where blocked is not null order by email').raw().all()

  it.db.pragma('wal_checkpoint(truncate)')
  if (disk === undefined) it.db.pragma('query_only = 1')
  else disk.fill()
  await anna.download(web.downloadUrl({ bytes: 400_000, rate: 4_000_000 })).finished
  await expect.poll(() => isServed(anna), { timeout: 15_000 }).toBe(false)
  await expect.poll(() => isServed(bert), { timeout: 15_000 }).toBe(false)
  expect(await isServed(carl)).toBe(true)
  expect(blocked()).toEqual([])

  if (disk === undefined) it.db.pragma('query_only = 0')
  else disk.free()
  await expect.poll(blocked, { timeout: 15_000 }).toEqual([
    ['anna', 'traffic'],
    ['bert', 'expired'],
  ])
  await expect.poll(() => it.events.map(({ name, type }) => `${name} ${type}`)).toContain('anna limitReached')
  await operations['clients.resetTraffic']({ email: 'anna' }, key())
  expect(await isServed(anna)).toBe(true)
})
