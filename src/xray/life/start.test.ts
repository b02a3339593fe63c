import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { mountSmallDisk } from '#test/support/small-disk.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort } from '#test/support/xray-client.ts'
import { plainInbound, startXrayServer, xrayModel } from '#test/support/xray-server.ts'
import { connectXrayApi } from '../api/api.ts'
import { type XrayProcess, createXrayProcess, xrayPaths } from './process.ts'
import { fixedProgram } from '../programs/program.ts'
import { renderConfig } from '../config/render.ts'

let dir: string
const ends: (() => unknown)[] = []
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'xray-'))
  ends.push(() => rm(dir, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Waits before restarts are shortened. */
const hurried = () => {
  const real = systemRuntime()
  return {
    monotonic: () => real.monotonic(),
    sleep: (ms: number, signal?: AbortSignal) => real.sleep(Math.min(ms, 50), signal),
  }
}

function create(binary = xrayBinary()): XrayProcess {
  const xray = createXrayProcess({ program: fixedProgram(binary), dir, runtime: hurried(), log: silentLog() })
  ends.push(async () => {
    await xray.stop()
    await xray.detach()
  })
  return xray
}

interface Config {
  inbounds: Record<string, unknown>[]
}
const configOn = (...ports: number[]): Config =>
  renderConfig(
    xrayModel(
      dir,
      ports.map((port, index) => plainInbound(`in-${index}`, port)),
    ),
  ) as Config

async function tags(): Promise<string[]> {
  const api = connectXrayApi(xrayPaths(dir).socket)
  try {
    return (await api.inboundTags()).toSorted()
  } finally {
    api.close()
  }
}

const onDisk = async (file: 'config' | 'previous'): Promise<unknown> =>
  JSON.parse(await readFile(xrayPaths(dir)[file], 'utf8')) as unknown
const plain = (json: object): unknown => JSON.parse(JSON.stringify(json)) as unknown
const cannotRender = (): object => {
  throw new Error('no rows to be read')
}

/** Runs Xray once with these, one after the other, so that its files are those of a past. */
async function past(...configs: object[]): Promise<void> {
  const xray = create()
  for (const config of configs) await xray.restart(() => config)
  await xray.stop()
  await xray.detach()
}

const broken = ['', '{"inbounds": [{"tag": "in-', '[]', 'null', '\0\0\0\0\0\0\0\0', '7']

describe('Xray whose files are not as they should be', () => {
  it('runs its last configuration when the present one cannot be made, says so, and catches up', async () => {
    const [port, later] = [await freePort(), await freePort()]
    await past(configOn(port))
    let isGood = false
    const xray = create()
    await expect(xray.start(() => (isGood ? configOn(port, later) : cannotRender()))).rejects.toThrow(
      'no rows',
    )
    expect(xray.state()).toMatchObject({
      running: true,
      onPreviousConfig: true,
      lastError: 'no rows to be read',
    })
    expect(await tags()).toEqual(['api', 'in-0'])
    isGood = true
    process.kill(Number(xray.state().pid), 'SIGKILL')
    await expect.poll(() => xray.state().lastError, { timeout: 20_000 }).toBeNull()
    expect(await tags()).toEqual(['api', 'in-0', 'in-1'])
  })

  it.each(broken)('starts although its configuration file says %j', async (content) => {
    const [first, second] = [configOn(await freePort()), configOn(await freePort())]
    await past(first, second)
    await writeFile(xrayPaths(dir).config, content)
    const xray = create()
    await xray.start(() => second)
    expect(xray.state()).toMatchObject({ lastError: null, onPreviousConfig: false })
    // What is torn never takes the place of a good one.
    expect(await onDisk('previous')).toEqual(plain(first))
    expect(await onDisk('config')).toEqual(plain(second))
  })

  it.each(broken)(
    'runs the one before when the present one says %j and no other can be made',
    async (content) => {
      const first = configOn(await freePort())
      await past(first, configOn())
      await writeFile(xrayPaths(dir).config, content)
      const xray = create()
      await expect(xray.start(cannotRender)).rejects.toThrow('no rows')
      expect(xray.state()).toMatchObject({ running: true, onPreviousConfig: true })
      expect(await tags()).toEqual(['api', 'in-0'])
    },
  )

  it('does not take a torn one for the one before', async () => {
    const good = configOn()
    await past(good, good)
    await writeFile(xrayPaths(dir).previous, '{"inbounds"')
    const refused = { ...good, outbounds: [{ protocol: 'no-such-protocol' }] }
    let config: object = refused
    const xray = create()
    await writeFile(xrayPaths(dir).config, JSON.stringify(refused))
    await expect(xray.start(() => config)).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    expect(await onDisk('config')).toEqual(plain(refused))
    config = good
    await expect.poll(() => xray.state().running, { timeout: 20_000 }).toBe(true)
  })

  it('says so when nothing on the disk can be used', async () => {
    await past(configOn())
    for (const file of ['config', 'previous'] as const) await writeFile(xrayPaths(dir)[file], 'gone')
    const xray = create()
    await expect(xray.startAsIs()).rejects.toMatchObject({
      code: 'XRAY_UNAVAILABLE',
      details: { reason: 'it has no configuration yet' },
    })
    expect(xray.state()).toMatchObject({ running: false, lastError: 'it has no configuration yet' })
  })

  it('comes back on a full disk', async (context) => {
    const disk = await mountSmallDisk(4)
    if (disk === undefined) return context.skip('mounting a small disk takes root')
    ends.push(() => disk.end())
    dir = disk.dir
    const xray = create()
    await xray.start(() => configOn())
    const { startedAt, pid } = xray.state()
    xray.setRender(() => configOn(80))
    disk.fill()
    process.kill(Number(pid), 'SIGKILL')
    const isBack = () => xray.state().running && xray.state().startedAt !== startedAt
    await expect.poll(isBack, { timeout: 20_000 }).toBe(true)
    expect(xray.state()).toMatchObject({ onPreviousConfig: true })
    expect(xray.state().lastError).toMatch(/ENOSPC/)
    await xray.detach()
    const again = create()
    expect(await again.adopt()).toBe(true)
    disk.free()
    await again.restart(() => configOn())
    expect(again.state().lastError).toBeNull()
  })
})

describe('Xray that ends at once', () => {
  it.each([
    ['echo "panic: the end of it" >&2; echo; echo "goroutine 1 [running]:"; exit 2', 'panic: the end of it'],
    ['echo "what it has to say"; exit 3', 'it ended with code 3: what it has to say'],
    ['exit 4', 'it ended with code 4'],
  ])('is told by its last words: %s', async (script, expected) => {
    const path = join(dir, 'xray')
    await writeFile(path, `#!/bin/sh\n[ "$1" = version ] && { echo "Xray 1.2.3"; exit 0; }\n${script}\n`)
    await chmod(path, 0o755)
    const xray = create(path)
    await expect(xray.start(() => configOn())).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    expect(xray.state()).toMatchObject({ running: false, lastError: expected })
    await xray.stop()
    expect(xray.state().lastError).toBeNull()
  })
})

describe('Xray whose port another program has', () => {
  const occupy = async (): Promise<{ port: number; free: () => Promise<unknown> }> => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const free = (): Promise<unknown> => new Promise((resolve) => server.close(resolve))
    ends.push(free)
    return { port: (server.address() as AddressInfo).port, free }
  }
  const closed = (port: number, why = 'another program uses it') =>
    `the inbound in-0 is closed: port ${port} cannot be had, ${why}`

  it('starts without that inbound, and tells which', async () => {
    const [{ port, free }, other] = [await occupy(), await freePort()]
    const xray = create()
    await xray.start(() => configOn(port, other))
    expect(xray.state()).toMatchObject({
      running: true,
      onPreviousConfig: false,
      heldBack: [{ tag: 'in-0' }],
      lastError: closed(port),
    })
    expect(await tags()).toEqual(['api', 'in-1'])
    await free()
    await xray.restart(() => configOn(port, other))
    expect(xray.state()).toMatchObject({ heldBack: [], lastError: null })
    expect(await tags()).toEqual(['api', 'in-0', 'in-1'])
  })

  it('does so after a crash too', async () => {
    const { port } = await occupy()
    const xray = create()
    await xray.start(() => configOn())
    xray.setRender(() => configOn(port))
    process.kill(Number(xray.state().pid), 'SIGKILL')
    await expect
      .poll(() => xray.state(), { timeout: 20_000 })
      .toMatchObject({ running: true, lastError: closed(port) })
  })

  it('does not share it with another Xray', async () => {
    const port = await freePort()
    const other = await startXrayServer([plainInbound('theirs', port)])
    ends.push(() => other.stop())
    const xray = create()
    await xray.start(() => configOn(port))
    expect(xray.state().lastError).toBe(closed(port))
  })

  it.each([
    ['one of gRPC, of which Xray says nothing', { network: 'grpc', grpcSettings: { serviceName: 'x' } }],
    ['one of WebSocket', { network: 'ws' }],
  ])('leaves out %s', async (_, streamSettings) => {
    const { port } = await occupy()
    const config = configOn(port)
    const [api, inbound] = config.inbounds
    const xray = create()
    await xray.start(() => ({ ...config, inbounds: [api, { ...inbound, streamSettings }] }))
    expect(xray.state().lastError).toBe(closed(port))
    expect(await tags()).toEqual(['api'])
  })

  it('leaves out one of UDP, but not one of UDP whose number only TCP has taken', async () => {
    const udp = createSocket('udp4')
    ends.push(() => udp.close())
    await new Promise<void>((done) => udp.bind(0, '127.0.0.1', done))
    const { port } = udp.address()
    const ofUdp = (number: number): object => {
      const config = configOn(number)
      const [api, inbound] = config.inbounds
      return { ...config, inbounds: [api, { ...inbound, streamSettings: { network: 'mkcp' } }] }
    }
    const xray = create()
    await xray.start(() => ofUdp(port))
    expect(xray.state()).toMatchObject({ running: true, lastError: closed(port) })
    const tcp = await occupy()
    await xray.restart(() => ofUdp(tcp.port))
    expect(xray.state()).toMatchObject({ running: true, lastError: null })
  })

  it('leaves out one whose address this machine does not have', async () => {
    const port = await freePort()
    const config = configOn(port, await freePort())
    const [api, inbound, other] = config.inbounds
    const xray = create()
    await xray.start(() => ({ ...config, inbounds: [api, { ...inbound, listen: '203.0.113.7' }, other] }))
    expect(xray.state().lastError).toBe(closed(port, 'this machine has no such address'))
    expect(await tags()).toEqual(['api', 'in-1'])
  })
})
