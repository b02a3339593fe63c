import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { afterEach, describe, expect, test } from 'vitest'
import type { SystemStats } from '#src/contract/index.ts'
import { systemRuntime } from '#src/runtime.ts'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { freePort } from '#test/support/xray-client.ts'
import { plainInbound, startXrayServer } from '#test/support/xray-server.ts'
import { type MachineDeps, createMachine } from './machine.ts'

const machineWith = (deps: Partial<MachineDeps> = {}) =>
  createMachine({
    dir: tmpdir(),
    runtime: systemRuntime(),
    xray: () => null,
    publicAddress: undefined,
    ...deps,
  })

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Connections that stand until the test ends. */
async function connectTo(host: string, port: number, count: number): Promise<void> {
  const sockets = Array.from({ length: count }, () => connect({ host, port }))
  ends.push(() => sockets.map((socket) => socket.destroy()))
  // An Xray that ends resets those it had not yet accepted.
  for (const socket of sockets) socket.on('error', () => undefined)
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
}

describe('the load of this machine', () => {
  test('makes sense', async () => {
    const machine = machineWith()
    for (const stats of [await machine.stats(), await machine.stats()]) {
      expect(stats.cpu).toBeGreaterThanOrEqual(0)
      expect(stats.cpu).toBeLessThanOrEqual(100)
      expect(stats.cores).toBeGreaterThan(0)
      expect(stats.memory.used).toBeGreaterThan(0)
      expect(stats.memory.used).toBeLessThan(stats.memory.total)
      expect(stats.disk.used).toBeLessThanOrEqual(stats.disk.total)
      expect(stats.network.receiving).toBeGreaterThanOrEqual(0)
      expect(stats.uptime).toBeGreaterThan(0)
      expect(stats.connections.xray).toBeNull()
    }
  })

  test('has every connection of it', async () => {
    const held: Socket[] = []
    const server = createServer((socket) => held.push(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    ends.push(() => server.close())
    const udp = Array.from({ length: 20 }, () => createSocket('udp4'))
    ends.push(() => udp.map((socket) => socket.close()))
    const machine = machineWith()
    const before = (await machine.stats()).connections
    const { port } = server.address() as { port: number }
    await connectTo('127.0.0.1', port, 100)
    await Promise.all(udp.map((socket) => new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))))
    // Both ends are of this machine. Others come and go on it meanwhile, fewer than these.
    await expect
      .poll(async () => (await machine.stats()).connections, { timeout: 10_000 })
      .toMatchObject({
        tcp: expect.toSatisfy((tcp: number) => tcp >= before.tcp + 150 && tcp <= before.tcp + 300) as number,
        udp: expect.toSatisfy((now: number) => now >= before.udp + 10) as number,
      })
  })

  test('has those of Xray, and none when it has ended', async () => {
    const port = await freePort()
    const xray = await startXrayServer([plainInbound('in', port)])
    ends.push(() => xray.stop())
    const running = () => {
      const { pid, startedAt } = xray.process.state()
      return pid === null || startedAt === null ? null : { pid, startedAt }
    }
    const machine = machineWith({ xray: running })
    const sockets = async () => (await machine.stats()).connections.xray
    const idle = Number(await sockets())
    // Where it listens, for clients and for us, and whom of us it answers.
    expect(idle).toBeGreaterThanOrEqual(2)
    expect(idle).toBeLessThan(10)
    await connectTo('127.0.0.1', port, 60)
    await expect.poll(sockets, { timeout: 10_000 }).toBeGreaterThanOrEqual(idle + 50)
    expect(await sockets()).toBeLessThan(idle + 70)
    const last = running()
    await xray.process.stop()
    expect(await sockets()).toBeNull()
    expect((await machineWith({ xray: () => last }).stats()).connections.xray).toBeNull()
  })

  test('is measured between two calls, once for all who ask at a time, and anew after a long while', async () => {
    const runtime = createFakeRuntime({ now: 1_000 })
    let slept = 0
    const sleep = async (ms: number): Promise<void> => {
      slept += ms
      runtime.skip(ms)
    }
    const machine = machineWith({ runtime: { monotonic: () => runtime.monotonic(), sleep } })
    const speeds = async (): Promise<number[]> => {
      const { cpu, network } = await machine.stats()
      return [cpu, network.receiving, network.sending]
    }
    const both = await Promise.all([speeds(), speeds()])
    expect(both[0]).toEqual(both[1])
    expect(slept).toBe(100)
    // Too soon for figures of its own.
    expect(await speeds()).toEqual(both[0])
    runtime.skip(30_000)
    await speeds()
    expect(slept).toBe(100)
    runtime.skip(24 * 60 * 60 * 1000)
    await speeds()
    expect(slept).toBe(200)
  })

  test('names the configured address where it has none of its own on the internet', async () => {
    const addresses = async (publicAddress: string | undefined): Promise<SystemStats['publicAddress']> =>
      (await machineWith({ publicAddress }).stats()).publicAddress
    const own = await addresses(undefined)
    expect(await addresses('198.51.100.7')).toEqual({ ...own, ipv4: own.ipv4 ?? '198.51.100.7' })
    expect(await addresses('vpn.example')).toEqual(own)
  })
})
