import { describe, expect, test } from 'vitest'
import { clientInput } from '#src/contract/index.ts'
import type { Connection } from '#src/xray/sockets/socket-cutter.ts'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { openLimitsHouse, withInbound } from '#test/support/limits-house.ts'
import { migratedDatabases } from '#test/support/migrated.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { createAdmission } from './admission.ts'
import { createCutter } from './cut.ts'
import { createQuietRestart } from './quiet-restart.ts'

const database = migratedDatabases()

/** Anna and Bert in one inbound at port 443, and sockets that a test opens by hand. */
async function setup() {
  const clocks = createFakeRuntime({ now: Date.UTC(2026, 0, 15) })
  const db = withInbound(database())
  const house = openLimitsHouse(db, clocks)
  for (const email of ['Anna', 'bert']) {
    const uuid = clocks.uuid()
    await house.add(clientInput.parse({ email, uuid, subscriptionId: 'subscription' }))
  }
  /** At which port each came in. */
  const standing = new Map<string, number>()
  let inboundPort = 443
  const cut: Connection[] = []
  let misses = 0
  const cutter = createCutter({ db, mayStay: createAdmission(db), now: () => clocks.now(), log: silentLog() })
  cutter.use({
    async cut(connections) {
      cut.push(...connections)
      if (misses-- > 0) return 0
      for (const { localPort, address, port } of connections) {
        const place = `${address}:${port}`
        if (standing.get(place) === localPort) standing.delete(place)
      }
      return connections.length
    },
    standing: async (localPorts) =>
      new Set([...standing].filter(([, port]) => localPorts.includes(port)).map(([place]) => place)),
  })
  return {
    clocks,
    house,
    cutter,
    comes: (name: string, address: string, port: number): void => {
      standing.set(`${address}:${port}`, inboundPort)
      cutter.note({ name, address, port })
    },
    moveInbound: (port: number): void => {
      inboundPort = port
      db.prepare('update inbounds set port = ?').run(port)
    },
    stands: () => [...standing.keys()],
    leaves: (address: string, port: number): void => void standing.delete(`${address}:${port}`),
    miss: (times: number): void => void (misses = times),
    cutNow: async (): Promise<string[]> => {
      cut.length = 0
      await cutter.sweep()
      return cut.map(({ localPort, address, port }) => `${address}:${port} at ${localPort}`)
    },
  }
}

describe('cutting', () => {
  test('ends what stands of one who is refused, and nothing of others from the same address', async () => {
    const { house, comes, cutNow } = await setup()
    comes('Anna#1', '198.51.100.7', 1_001)
    comes('Anna#1', '2001:db8::7', 1_002)
    comes('bert#1', '198.51.100.7', 1_003)
    expect(await cutNow()).toEqual([])
    await house.update('anna', { enabled: false })
    expect(await cutNow()).toEqual(['198.51.100.7:1001 at 443', '2001:db8::7:1002 at 443'])
    expect(await cutNow()).toEqual([])
    // What Xray had let in before it was told, and says only now.
    comes('Anna#1', '198.51.100.7', 1_004)
    expect(await cutNow()).toEqual(['198.51.100.7:1004 at 443'])
  })

  test('ends what came in at a port that its inbound has left since', async () => {
    const { clocks, house, comes, moveInbound, stands, cutNow } = await setup()
    comes('Anna#1', '198.51.100.7', 1_001)
    await cutNow()
    for (const port of [8_443, 9_443]) {
      moveInbound(port)
      await cutNow()
      clocks.skip(31_000)
      await cutNow()
    }
    comes('Anna#1', '198.51.100.7', 1_002)
    comes('bert#1', '198.51.100.7', 1_003)
    await house.update('anna', { enabled: false })
    await cutNow()
    expect(stands()).toEqual(['198.51.100.7:1003'])
  })

  test('lets stand what two have come through, as through a web server', async () => {
    const { house, comes, cutNow } = await setup()
    comes('Anna#1', '127.0.0.1', 1_001)
    comes('bert#1', '127.0.0.1', 1_001)
    comes('Anna#1', '127.0.0.1', 1_001)
    await house.update('anna', { enabled: false })
    expect(await cutNow()).toEqual([])
  })

  test('forgets what has ended: its port may be another’s by now', async () => {
    const { clocks, house, cutter, comes, leaves, cutNow } = await setup()
    comes('Anna#1', '198.51.100.7', 1_001)
    leaves('198.51.100.7', 1_001)
    clocks.skip(30_000)
    await cutter.sweep()
    comes('bert#1', '198.51.100.7', 1_001)
    await house.update('bert', { enabled: false })
    expect(await cutNow()).toEqual(['198.51.100.7:1001 at 443'])
  })

  test('tries again what was missed, and gives up in the end', async () => {
    const { house, comes, miss, cutNow } = await setup()
    comes('Anna#1', '198.51.100.7', 1_001)
    await house.update('anna', { enabled: false })
    miss(1)
    expect(await cutNow()).toHaveLength(2)
    comes('Anna#1', '198.51.100.7', 1_001)
    miss(100)
    expect(await cutNow()).toHaveLength(5)
    expect(await cutNow()).toEqual([])
  })

  test('of one who comes from too many addresses lets stand what stands', async () => {
    const { clocks, house, comes, cutNow } = await setup()
    comes('Anna#1', '198.51.100.7', 1_001)
    await house.update('anna', { ipLimit: 1 })
    house.connect('anna', ['198.51.100.7', '198.51.100.8'])
    clocks.skip(1_000)
    await house.tick()
    expect(house.client('anna')).toMatchObject({ blocked: 'addresses' })
    expect(await cutNow()).toEqual([])
  })

  test('ends what came in by credentials that are no more', async () => {
    const { cutter, comes, cutNow } = await setup()
    comes('Anna#1', '198.51.100.7', 1_001)
    comes('bert#1', '198.51.100.7', 1_002)
    cutter.outdate('anna')
    comes('Anna#1', '198.51.100.7', 1_003)
    expect(await cutNow()).toEqual(['198.51.100.7:1001 at 443'])
  })

  test('remembers no more than it may', async () => {
    const { house, comes, cutNow } = await setup()
    for (let port = 1; port <= 65_535; port++) comes('Anna#1', '198.51.100.7', port)
    comes('Anna#1', '198.51.100.8', 1)
    comes('Anna#1', '198.51.100.8', 2)
    await house.update('anna', { enabled: false })
    const cut = await cutNow()
    expect(cut).toHaveLength(65_536)
    expect(cut).not.toContain('198.51.100.7:1 at 443')
  })
})

describe('a restart in a quiet hour', () => {
  const at = (hour: number): number => new Date(2026, 0, 15, hour, 30).getTime()

  test.each([
    { hour: 4, connected: ['anna#1', 'bert#1'], restarts: 1 },
    { hour: 4, connected: ['bert#1'], restarts: 0 },
    { hour: 4, connected: [], restarts: 0 },
    { hour: 3, connected: ['anna#1'], restarts: 0 },
    { hour: 16, connected: ['anna#1'], restarts: 0 },
  ])('at $hour:30 with $connected: $restarts', async ({ hour, connected, restarts }) => {
    let done = 0
    const quiet = createQuietRestart({
      connected: async () => connected,
      mayStay: (name) => name !== 'anna#1',
      restart: async () => void done++,
      now: () => at(hour),
      log: silentLog(),
    })
    await quiet.run()
    await quiet.run()
    expect(done).toBe(restarts)
  })
})
