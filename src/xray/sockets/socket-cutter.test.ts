import { once } from 'node:events'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { type SocketCutter, createSocketCutter } from './socket-cutter.ts'

describe('ending single connections', () => {
  let cutter: SocketCutter | null
  let servers: Server[]
  let ends: Socket[]

  beforeEach(async () => {
    cutter = await createSocketCutter(systemRuntime())
    servers = []
    ends = []
  })
  afterEach(() => {
    for (const end of ends) end.destroy()
    for (const server of servers) server.close()
  })

  /** A connection to a server of its own, or to one that is there. */
  async function connection(listen: string, to: string, from: string, port = 0) {
    let localPort = port
    let arriving: Promise<unknown[]> | undefined
    if (port === 0) {
      const server = createServer()
      servers.push(server)
      server.listen(0, listen)
      await once(server, 'listening')
      localPort = (server.address() as AddressInfo).port
    }
    const server = servers.at(-1)
    if (server !== undefined) arriving = once(server, 'connection')
    const there = connect({ host: to, port: localPort, localAddress: from })
    const [here] = (await arriving) as [Socket]
    ends.push(here, there)
    for (const end of [here, there]) end.on('error', () => undefined)
    return { localPort, address: from, port: here.remotePort ?? 0, here, there }
  }

  // Where the kernel or our rights do not allow it there is nothing to test but that this is found out.
  it('is found to be possible, or not, by trying', () => {
    expect(cutter === null || typeof cutter.cut === 'function').toBe(true)
  })

  it('is found to be impossible at once where this process may not: a start waits for it', async () => {
    const slept: number[] = []
    const runtime = {
      sleep(ms: number) {
        slept.push(ms)
        return systemRuntime().sleep(ms)
      },
    }
    if ((await createSocketCutter(runtime)) === null) expect(slept).toEqual([])
  })

  it.each([
    ['127.0.0.1', '127.0.0.1', '127.0.0.9'],
    // A listener of both families: the kernel has such connections as IPv6.
    ['::', '127.0.0.1', '127.0.0.9'],
    ['::1', '::1', '::1'],
  ])(
    'listening on %s: ends the one that is named, and no other from the same address',
    async (listen, to, from) => {
      if (cutter === null) return
      const one = await connection(listen, to, from)
      const other = await connection(listen, to, from, one.localPort)
      const before = await cutter.standing([one.localPort])
      expect([...before].toSorted()).toEqual([one, other].map(({ port }) => `${from}:${port}`).toSorted())
      const closed = new Promise((resolve) => one.there.once('close', resolve))
      expect(await cutter.cut([one])).toBe(1)
      await closed
      other.there.write('still here')
      expect(String((await once(other.here, 'data'))[0])).toBe('still here')
      await expect.poll(() => cutter?.standing([one.localPort])).toEqual(new Set([`${from}:${other.port}`]))
      expect(await cutter.cut([one])).toBe(0)
    },
  )
})
