import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { connectXrayApi } from '#src/xray/api/api.ts'
import { xrayPaths } from '#src/xray/life/process.ts'
import { type Program, program } from '#test/support/process.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'

/** Bytes a second. */
const RATE = 500_000
/** What may be on its way between the site and the app, and what HTTP says beside the bytes that are asked for. */
const ON_THE_WAY = 200_000
/** Readings come every 200 ms, on a busy machine later. */
const UNREAD = RATE * 3

let node: TestNode
let own: Program
let web: WebTarget
let app: XrayClient

beforeEach(async () => {
  node = await startTestNode()
  web = await startWebTarget()
  const { operations } = node.node
  const key = () => ({ idempotencyKey: randomUUID() })
  const stream = { transport: { type: 'raw' }, security: { type: 'none' } }
  const inbound = { tag: 'in-1', protocol: 'vless', port: await freePort(), listen: '127.0.0.1', stream }
  await operations['inbounds.add'](inboundInput.parse(inbound), key())
  const anna = clientInput.parse({
    email: 'anna',
    uuid: randomUUID(),
    subscriptionId: randomUUID(),
    flow: '',
  })
  const [added] = await operations['clients.add']({ id: 'in-1', clients: [anna] }, key())
  app = await startXrayClient({ binary: xrayBinary(), link: added?.links[0] ?? '' })
  // From here on a process of its own looks after the Xray that runs.
  await node.node.stop()
  own = program(node.dir, { XRAY_BIN: xrayBinary() }, 'test/support/own-node.ts')
  await startOwn()
})

afterEach(async () => {
  await own.kill()
  await app.stop()
  await node.restart()
  await node.stop()
  await web.stop()
})

async function startOwn(): Promise<void> {
  own.start()
  await own.says(/the node is ready/)
}

const counted = (table: string): number =>
  Number(node.db.prepare(`select coalesce(sum(down), 0) from ${table}`).pluck().get())
const days = (kind: string): unknown =>
  node.db.prepare('select sum(down) from traffic_days where kind = ?').pluck().get(kind)
const downlink = async (): Promise<number> => {
  const api = connectXrayApi(xrayPaths(join(node.dir, 'xray')).socket)
  try {
    return (await api.counters()).get('user>>>anna#1>>>traffic>>>downlink') ?? 0
  } finally {
    api.close()
  }
}
const reaches = (received: () => number, bytes: number) =>
  expect.poll(received, { timeout: 30_000 }).toBeGreaterThan(bytes)

describe('what is counted when something is killed under traffic', () => {
  test('our process, again and again: every byte, once', async () => {
    const download = app.download(web.downloadUrl({ bytes: 3_000_000, rate: RATE }))
    for (const bytes of [200_000, 1_000_000, 2_000_000]) {
      await reaches(() => download.received(), bytes)
      await own.kill()
      await reaches(() => download.received(), bytes + 300_000)
      await startOwn()
    }
    expect(await download.finished).toEqual({ bytes: 3_000_000, complete: true })
    const moved = await downlink()
    expect(moved).toBeGreaterThan(3_000_000)
    await expect.poll(() => counted('client_traffics'), { timeout: 10_000 }).toBe(moved)
    expect(counted('inbound_traffics')).toBe(moved)
    expect(days('client')).toBe(moved)
    expect(days('outbound')).toBe(counted('outbound_traffics'))
  })

  test('Xray: at most what it moved since it was read last is lost, and nothing is counted twice', async () => {
    let moved = 0
    for (let life = 0; life < 2; life++) {
      const download = app.download(web.downloadUrl({ bytes: 100_000_000, rate: RATE }))
      await reaches(() => download.received(), 1_000_000)
      const { pid } = JSON.parse(await readFile(xrayPaths(join(node.dir, 'xray')).pid, 'utf8')) as {
        pid: number
      }
      process.kill(pid, 'SIGKILL')
      const { bytes, complete } = await download.finished
      expect(complete).toBe(false)
      moved += bytes
      await expect
        .poll(
          () =>
            app.get(web.pageUrl).then(
              ({ status }) => status,
              () => 0,
            ),
          { timeout: 30_000 },
        )
        .toBe(200)
      moved += web.pageText.length
      const standing = await downlink()
      await expect
        .poll(() => counted('client_traffics'), { timeout: 10_000 })
        .toBeGreaterThanOrEqual(moved - (life + 1) * UNREAD)
      expect(standing).toBeLessThan(ON_THE_WAY)
      expect(counted('client_traffics')).toBeLessThanOrEqual(moved + (life + 1) * ON_THE_WAY)
    }
    expect(days('client')).toBe(counted('client_traffics'))
    expect(counted('inbound_traffics')).toBe(counted('client_traffics'))
  })
})
