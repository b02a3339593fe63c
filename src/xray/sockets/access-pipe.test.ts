import { closeSync, constants, openSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { xrayBinary } from '#test/support/xray-binary.ts'
import {
  type WebTarget,
  type XrayClient,
  freePort,
  startWebTarget,
  startXrayClient,
} from '#test/support/xray-client.ts'
import { type XrayServer, idOf, plainInbound, startXrayServer, vlessUser } from '#test/support/xray-server.ts'
import { type AccessPipe, type SeenConnection, openAccessPipe, parseAccessLine } from './access-pipe.ts'
import { shareLink } from '../config/links.ts'

const at = '2026/11/25 19:32:49.987617'

describe('a line of the access log', () => {
  it.each([
    [
      `from 198.51.100.7:52899 accepted tcp:example.com:443 [in >> direct] email: anna#12`,
      '198.51.100.7',
      52899,
      'anna#12',
    ],
    [`from [2001:db8::7]:52899 accepted tcp:1.2.3.4:443 email: Anna B#3`, '2001:db8::7', 52899, 'Anna B#3'],
    [`from tcp:198.51.100.7:1 accepted udp:1.2.3.4:53 [in -> out] email: a#1`, '198.51.100.7', 1, 'a#1'],
    // A name in the place of a destination cannot be taken for a client's.
    [`from 198.51.100.7:9 accepted tcp:x email: bert#2:80 email: anna#1`, '198.51.100.7', 9, 'anna#1'],
  ])('%s', (text, address, port, name) => {
    expect(parseAccessLine(`${at} ${text}`)).toEqual({ address, port, name })
  })

  it.each([
    'from 198.51.100.7:0 accepted tcp:example.com:443 email: anna#12',
    'from 198.51.100.7:5 accepted tcp:example.com:443',
    'from 198.51.100.7:5 rejected  proxy/vless/encoding: invalid request user id',
    'from DNS accepted udp:1.1.1.1:53 email: anna#12',
    'from udp:198.51.100.7:5 accepted udp:1.1.1.1:53 email: anna#12',
    '',
  ])('says nothing of a connection: %s', (text) => {
    expect(parseAccessLine(`${at} ${text}`)).toBeNull()
  })
})

describe('the pipe Xray writes its access log to', () => {
  const anna = vlessUser('anna#1', '66ad4540-b58c-4ad2-9926-ea63445a9b57')
  let dir: string
  let path: string
  let seen: SeenConnection[]
  let pipe: AccessPipe | undefined
  let xray: XrayServer | undefined
  let web: WebTarget
  let app: XrayClient

  const open = async (onSeen = (one: SeenConnection): void => void seen.push(one)) => {
    pipe = await openAccessPipe(path, onSeen)
  }

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pipe-'))
    path = join(dir, 'access.pipe')
    seen = []
    web = await startWebTarget()
    await open()
    const inbound = plainInbound('main', await freePort(), [anna])
    xray = await startXrayServer([inbound], (config) => ({
      ...config,
      log: { loglevel: 'warning', access: path },
    }))
    const person = { id: 2, email: 'anna', uuid: idOf(anna), password: '', flow: '' }
    const link = shareLink({
      inbound: { ...inbound, id: 1, remark: '', linkSecrets: {} },
      client: person,
      host: '127.0.0.1',
    })
    app = await startXrayClient({ binary: xrayBinary(), link: link ?? '' })
  })
  afterEach(async () => {
    await app.stop()
    await xray?.stop()
    pipe?.close()
    await web.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const load = async (): Promise<void> => expect(await app.get(web.pageUrl)).toMatchObject({ status: 200 })

  it('tells who comes from where, and keeps nothing', async () => {
    await load()
    await expect.poll(() => seen).toMatchObject([{ name: 'anna#1', address: '127.0.0.9' }])
    expect(statSync(path)).toMatchObject({ size: 0 })
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('its reader may die and come again: Xray carries on', async () => {
    await load()
    await expect.poll(() => seen).toHaveLength(1)
    pipe?.close()
    for (let round = 0; round < 5; round++) await load()
    await open()
    await load()
    await expect.poll(() => seen.length).toBeGreaterThan(1)
    expect(xray?.process.state()).toMatchObject({ running: true })
  })

  it('a reader that stands still holds nothing up', async () => {
    pipe?.close()
    // It is open, but nobody takes anything out: soon it is full.
    const idle = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    try {
      writeSync(idle, Buffer.alloc(60 * 1024, '\n'))
      // Another 40 lines fit in; Xray waits with 128 more, and drops the rest.
      for (let round = 0; round < 200; round++) await load()
      expect(() => writeSync(idle, Buffer.alloc(5_000))).toThrow('EAGAIN')
      expect(xray?.process.state()).toMatchObject({ running: true })
    } finally {
      closeSync(idle)
    }
  })

  it('a file in its place, which would keep the record, is taken away', async () => {
    const other = join(dir, 'other.pipe')
    writeFileSync(other, 'who visited what')
    const second = await openAccessPipe(other, () => undefined)
    expect(statSync(other).isFIFO()).toBe(true)
    second.close()
  })
})
