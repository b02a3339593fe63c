import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort } from '#test/support/xray-client.ts'
import { plainInbound, xrayModel } from '#test/support/xray-server.ts'
import { connectXrayApi } from '../api/api.ts'
import { findByArguments, identify } from './proc.ts'
import type { XrayChange, XrayProcess, XrayState } from './process.ts'
import { createXrayProcess, xrayPaths } from './process.ts'
import { fixedProgram } from '../programs/program.ts'
import { renderConfig } from '../config/render.ts'

describe('the process of Xray', () => {
  let dir: string
  /** Times it ended without being asked to. */
  const exits = (): Extract<XrayChange, { type: 'down' }>[] =>
    changes.filter((change) => change.type === 'down').filter(({ restartInMs }) => restartInMs !== null)
  let changes: XrayChange[]
  /** Waits before restarts, in ms, that were asked for; they are shortened, since only their order matters here. */
  let waits: number[]
  const created: XrayProcess[] = []

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'xray-'))
    changes = []
    waits = []
  })
  afterEach(async () => {
    for (const xray of created) await xray.stop()
    await Promise.all(created.splice(0).map((xray) => xray.detach()))
    expect(await findByArguments(['run', '-c', xrayPaths(dir).config])).toEqual([])
    await rm(dir, { recursive: true, force: true })
  })

  const create = (): XrayProcess => {
    const real = systemRuntime()
    const runtime = {
      monotonic: () => real.monotonic(),
      sleep: (ms: number, signal?: AbortSignal): Promise<void> => {
        if (ms >= 1_000) waits.push(ms)
        return real.sleep(Math.min(ms, 50), signal)
      },
    }
    const xray = createXrayProcess({
      program: fixedProgram(xrayBinary()),
      dir,
      runtime,
      log: silentLog(),
    })
    xray.watch((change) => changes.push(change))
    created.push(xray)
    return xray
  }

  const configOn = (...ports: number[]): object =>
    renderConfig(
      xrayModel(
        dir,
        ports.map((port, index) => plainInbound(`in-${index}`, port)),
      ),
    )

  const tags = async (): Promise<string[]> => {
    const api = connectXrayApi(xrayPaths(dir).socket)
    try {
      return (await api.inboundTags()).toSorted()
    } finally {
      api.close()
    }
  }

  it('starts with every inbound open, keeps its files to itself, and stops', async () => {
    const xray = create()
    expect(xray.state()).toMatchObject({ running: false, pid: null, startedAt: null })
    await xray.start(() => configOn())
    const { pid, startedAt } = xray.state()
    expect(startedAt).toContain(`:${pid}:`)
    expect(await tags()).toEqual(['api'])
    const paths = xrayPaths(dir)
    for (const file of [paths.config, paths.pid, paths.socket, paths.output]) {
      expect((await stat(file)).mode & 0o777, file).toBe(0o600)
    }
    await xray.start(() => configOn())
    expect(xray.state().pid).toBe(pid)
    await xray.stop()
    expect(xray.state()).toMatchObject({ running: false, pid: null, startedAt: null, lastError: null })
    expect(await identify(Number(pid))).toBeNull()
    expect(exits()).toEqual([])
  })

  it('shows Xray nothing of our environment but what it needs', async () => {
    process.env['FLEETGRAM_TEST_SECRET'] = 'do not tell'
    try {
      const xray = create()
      await xray.start(() => configOn())
      expect(await readFile(`/proc/${xray.state().pid}/environ`, 'utf8')).not.toContain('do not tell')
    } finally {
      delete process.env['FLEETGRAM_TEST_SECRET']
    }
  })

  it('is adopted, not restarted, after our own process was killed', async () => {
    const port = String(await freePort())
    const script = fileURLToPath(import.meta.resolve('#test/support/own-xray.ts'))
    const runOwner = async (): Promise<XrayState> => {
      const owner = spawn(process.execPath, [script, dir, port], { stdio: ['ignore', 'pipe', 'inherit'] })
      const [line] = (await once(owner.stdout, 'data')) as [Buffer]
      owner.kill('SIGKILL')
      await once(owner, 'exit')
      return JSON.parse(line.toString()) as XrayState
    }
    const first = await runOwner()
    expect(first.running).toBe(true)
    expect(await runOwner()).toEqual(first)

    const xray = create()
    expect(await xray.adopt()).toBe(true)
    expect(xray.state()).toEqual(first)
    expect(await tags()).toEqual(['api', 'main'])
    // It is no child of ours, so only watching tells.
    xray.setRender(() => configOn())
    process.kill(Number(first.pid), 'SIGKILL')
    await expect.poll(() => exits().length, { timeout: 10_000 }).toBe(1)
    await expect.poll(() => xray.state().running, { timeout: 20_000 }).toBe(true)
    expect(xray.state().startedAt).not.toBe(first.startedAt)
  })

  it('outlives letting go of it', async () => {
    const first = create()
    await first.start(() => configOn())
    const state = first.state()
    await first.detach()
    expect(first.state().running).toBe(false)
    const second = create()
    expect(await second.adopt()).toBe(true)
    expect(second.state()).toEqual(state)
    expect(exits()).toEqual([])
  })

  it.each(['', '{"pid":', '{"pid":1,"startTime":"1","bootId":"x","executable":"/sbin/init"}'])(
    'finds its Xray although the pid file says %j',
    async (content) => {
      const first = create()
      await first.start(() => configOn())
      const state = first.state()
      await first.detach()
      await writeFile(xrayPaths(dir).pid, content)
      const second = create()
      expect(await second.adopt()).toBe(true)
      expect(second.state()).toEqual(state)
    },
  )

  it('leaves a stranger alone that has got its pid', async () => {
    const stranger = spawn('sleep', ['60'])
    try {
      const identity = await identify(Number(stranger.pid))
      await writeFile(xrayPaths(dir).pid, JSON.stringify({ ...identity, startTime: '1' }))
      await writeFile(xrayPaths(dir).socket, 'left over')
      const xray = create()
      expect(await xray.adopt()).toBe(false)
      await xray.start(() => configOn())
      await xray.stop()
      expect(await identify(Number(stranger.pid))).toEqual(identity)
    } finally {
      stranger.kill('SIGKILL')
    }
  })

  it('restarts after a crash with what should be there now, waiting longer each time', async () => {
    const xray = create()
    await xray.start(() => configOn())
    const port = await freePort()
    xray.setRender(() => configOn(port))
    for (const crash of [1, 2, 3]) {
      const { pid, startedAt } = xray.state()
      expect(changes.at(-1)).toEqual({ type: 'up', pid, lastError: null })
      process.kill(Number(pid), 'SIGKILL')
      await expect.poll(() => exits().length, { timeout: 20_000 }).toBe(crash)
      await expect
        .poll(() => xray.state().running && xray.state().startedAt !== startedAt, { timeout: 20_000 })
        .toBe(true)
      expect(exits().at(-1)).toMatchObject({ reason: 'it was ended by SIGKILL' })
    }
    expect(exits().map(({ restartInMs }) => restartInMs)).toEqual([1_000, 2_000, 5_000])
    expect(waits).toEqual([1_000, 2_000, 5_000])
    expect(await tags()).toEqual(['api', 'in-0'])
    expect(xray.state().lastError).toBeNull()
  })

  it('is not restarted after it was stopped in the middle of the wait', async () => {
    const xray = create()
    await xray.start(() => configOn())
    process.kill(Number(xray.state().pid), 'SIGKILL')
    await expect.poll(() => exits().length, { timeout: 10_000 }).toBe(1)
    await xray.stop()
    await systemRuntime().sleep(200)
    expect(xray.state()).toMatchObject({ running: false, lastError: null })
    expect(changes.at(-1)).toEqual({ type: 'down', reason: 'it was stopped', restartInMs: null })
  })

  it('says why a configuration is refused and serves the one before', async () => {
    const port = await freePort()
    const xray = create()
    await xray.start(() => configOn(port))
    await expect(
      xray.restart(() => ({ ...configOn(), outbounds: [{ protocol: 'no-such-protocol' }] })),
    ).rejects.toMatchObject({ code: 'XRAY_REFUSED', message: expect.stringContaining('no-such-protocol') })
    expect(xray.state()).toMatchObject({ running: true, onPreviousConfig: true })
    const { pid, lastError } = xray.state()
    expect(changes.at(-1)).toEqual({ type: 'up', pid, lastError })
    expect(lastError).toContain('no-such-protocol')
    expect(await tags()).toEqual(['api', 'in-0'])
    expect(await readFile(xrayPaths(dir).config, 'utf8')).not.toContain('no-such-protocol')

    await xray.restart(() => configOn())
    expect(xray.state()).toMatchObject({ running: true, onPreviousConfig: false, lastError: null })
    expect(await tags()).toEqual(['api'])
  })

  it('keeps what runs when the configuration cannot even be made', async () => {
    const xray = create()
    await xray.start(() => configOn())
    const state = xray.state()
    await expect(
      xray.restart(() => {
        throw new Error('no rows')
      }),
    ).rejects.toThrow('no rows')
    expect(xray.state()).toEqual(state)
  })

  it('goes on trying, until it can be started', async () => {
    const port = await freePort()
    let isGood = false
    const xray = create()
    await expect(
      xray.start(() => (isGood ? configOn(port) : { outbounds: [{ protocol: 'no-such-protocol' }] })),
    ).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    expect(xray.state()).toMatchObject({ running: false })
    expect(xray.state().lastError).toContain('no-such-protocol')
    await expect.poll(() => waits.length, { timeout: 20_000 }).toBeGreaterThan(2)
    isGood = true
    await expect.poll(() => xray.state().running, { timeout: 30_000 }).toBe(true)
    expect(await tags()).toEqual(['api', 'in-0'])
    expect(xray.state().lastError).toBeNull()
  })

  it('never lets two run from one folder', async () => {
    const first = create()
    await first.start(() => configOn())
    await first.detach()
    await rm(xrayPaths(dir).pid)
    const second = create()
    await second.start(() => configOn())
    const running = await findByArguments(['run', '-c', xrayPaths(dir).config])
    expect(running.map(({ pid }) => pid)).toEqual([second.state().pid])
  })

  it('swaps the configuration file without touching what runs', async () => {
    const port = await freePort()
    const xray = create()
    await xray.start(() => configOn())
    const state = xray.state()
    await xray.writeConfig(configOn(port))
    expect(xray.state()).toEqual(state)
    expect(JSON.parse(await readFile(xrayPaths(dir).config, 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(configOn(port))),
    )
    expect(JSON.parse(await readFile(xrayPaths(dir).previous, 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(configOn())),
    )
  })

  it('names a program that cannot be run', async () => {
    const xray = createXrayProcess({
      program: fixedProgram('/nonexistent/xray'),
      dir,
      runtime: systemRuntime(),
      log: silentLog(),
    })
    await expect(xray.start(() => configOn())).rejects.toMatchObject({ code: 'XRAY_NOT_FOUND' })
    await xray.stop()
  })
})
