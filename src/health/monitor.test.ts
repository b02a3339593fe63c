import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createSender, type Outgoing } from '#src/notify/sender.ts'
import { tables } from '#src/store/drizzle.ts'
import { FakeFleet, type Mood } from '#test/support/fake-fleet.ts'
import { createFakeRuntime, type FakeRuntime } from '#test/support/fake-runtime.ts'
import { createTempStore } from '#test/support/temp-store.ts'
import { createHealthMonitor, type HealthMonitor } from './monitor.ts'
import type { Schedule } from './schedule.ts'

const NOW = 1_700_000_000_000

let store: ReturnType<typeof createTempStore>
let runtime: FakeRuntime
let fleet: FakeFleet
let controller: { monitor: HealthMonitor; stop(): Promise<void> }
let chats: string[]
/** What arrived: `owner serverDown s1`. */
let said: string[]
let facts: Outgoing[]
let telegramIsAway: boolean

beforeEach(() => {
  store = createTempStore(NOW)
  runtime = createFakeRuntime({ now: NOW })
  fleet = new FakeFleet(store.db)
  chats = ['owner']
  said = []
  facts = []
  telegramIsAway = false
})

afterEach(async () => {
  await controller.stop()
  store.remove()
})

/** As croner would, by the clock of the test. */
const schedule: Schedule = (everyMs, job) => {
  const ending = new AbortController()
  const run = async (): Promise<void> => {
    for (;;) {
      await runtime.sleep(everyMs, ending.signal)
      await job()
    }
  }
  run().catch(() => undefined)
  return { stop: () => ending.abort(new Error('stopped')) }
}

/** The controller's process as far as health goes. */
function boot(): typeof controller {
  const db = store.db()
  const log = pino({ level: 'silent' })
  const sender = createSender({
    db,
    runtime,
    log,
    deliver: (message) => {
      if (telegramIsAway) return Promise.reject(new Error('no route'))
      facts.push(message)
      said.push(`${message.chat} ${message.kind} ${message.payload.serverName}`)
      return Promise.resolve({ ok: true, messageId: said.length })
    },
  })
  const monitor = createHealthMonitor({
    db,
    fleet,
    runtime,
    log,
    chats: () => chats,
    wake: () => sender.wake(),
    schedule,
  })
  sender.start()
  monitor.start()
  controller = {
    monitor,
    stop: async () => {
      await monitor.stop()
      const stopped = sender.stop()
      await runtime.advance(3_000)
      await stopped
    },
  }
  return controller
}

/** Ends the process and starts another on the same file, `away` ms later. */
async function reboot(away: number): Promise<void> {
  await controller.stop()
  runtime.skip(away)
  store.reopen()
  boot()
  await runtime.advance(0)
}

/** A fleet that has been well for some minutes. */
async function settle(...ids: number[]): Promise<void> {
  for (const id of ids) fleet.add(id)
  boot()
  await runtime.advance(300_000)
  expect(ids.map((id) => fleet.rows.get(id)?.status)).toEqual(ids.map(() => 'online'))
  expect(said).toEqual([])
}

const status = (id: number): string | undefined => fleet.rows.get(id)?.status
const openIncidents = (): number =>
  store
    .db()
    .select()
    .from(tables.incidents)
    .all()
    .filter((incident) => incident.closedAt === null).length
const seconds = (ms: number): number => (ms - NOW) / 1_000

describe('outages', () => {
  test.each<[Mood]>([['dead'], ['silent']])('gone for 20 s (%s): not a word', async (mood) => {
    await settle(1)
    fleet.moods.set(1, mood)
    await runtime.advance(20_000)
    fleet.moods.set(1, 'up')
    await runtime.advance(300_000)
    expect(said).toEqual([])
    expect(status(1)).toBe('online')
  })

  test.each<[Mood, string]>([
    ['dead', 'SERVER_UNREACHABLE'],
    ['silent', 'SERVER_TIMEOUT'],
  ])('gone for good (%s): told once within 70 s, with the reason', async (mood, code) => {
    await settle(1)
    fleet.moods.set(1, mood)
    await runtime.advance(70_000)
    expect(said).toEqual(['owner serverDown s1'])
    expect(facts[0]?.payload).toMatchObject({ serverId: 1, state: 'offline', reason: { code } })
    await runtime.advance(3_600_000)
    expect(said).toHaveLength(1)
    expect(status(1)).toBe('offline')
    expect(fleet.rows.get(1)?.lastError).toMatch(/cannot be reached|did not answer/)
  })

  test('back again: told once, with when it began and when it ended', async () => {
    await settle(1)
    fleet.moods.set(1, 'dead')
    await runtime.advance(600_000)
    fleet.moods.set(1, 'up')
    fleet.calls.length = 0
    await runtime.advance(60_000)
    expect(said).toEqual(['owner serverDown s1', 'owner serverUp s1'])
    const up = facts[1]
    if (up?.kind !== 'serverUp') throw new Error('not a recovery')
    expect(seconds(up.payload.downSince)).toBeGreaterThanOrEqual(300)
    expect(seconds(up.payload.downSince)).toBeLessThanOrEqual(330)
    expect(seconds(up.payload.upAt)).toBeGreaterThanOrEqual(900)
    expect(seconds(up.payload.upAt)).toBeLessThanOrEqual(930)
    expect([facts[0]?.silent, up.silent]).toEqual([false, true])
    expect(status(1)).toBe('online')
    expect(fleet.count('kick 1')).toBeGreaterThan(0)
    expect(fleet.count('described 1')).toBe(1)
    expect(openIncidents()).toBe(0)
  })

  test('Xray down while the agent answers: told as an error; one recovery', async () => {
    await settle(1)
    fleet.moods.set(1, 'xrayDown')
    await runtime.advance(36_000)
    expect(facts[0]?.payload).toMatchObject({
      state: 'error',
      reason: { code: 'XRAY_UNAVAILABLE', details: { reason: 'signal: killed' } },
    })
    expect(status(1)).toBe('error')
    fleet.moods.set(1, 'up')
    await runtime.advance(36_000)
    expect(said).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('many servers: those that are silent hold up nobody, each has its own alert, each owner is told', async () => {
    chats = ['owner', 'other']
    await settle(1, 2, 3)
    fleet.moods.set(1, 'silent')
    fleet.moods.set(2, 'xrayDown')
    await runtime.advance(90_000)
    expect(said.toSorted()).toEqual([
      'other serverDown s1',
      'other serverDown s2',
      'owner serverDown s1',
      'owner serverDown s2',
    ])
    expect([1, 2, 3].map(status)).toEqual(['offline', 'error', 'online'])
  })

  test('an owner who was not told of the outage is not told of its end', async () => {
    await settle(1)
    fleet.moods.set(1, 'dead')
    await runtime.advance(120_000)
    chats = ['owner', 'newcomer']
    fleet.moods.set(1, 'up')
    await runtime.advance(120_000)
    expect(said).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('Telegram away during all of it: one message tells both', async () => {
    await settle(1)
    telegramIsAway = true
    fleet.moods.set(1, 'dead')
    await runtime.advance(120_000)
    fleet.moods.set(1, 'up')
    await runtime.advance(120_000)
    telegramIsAway = false
    await runtime.advance(120_000)
    expect(said).toEqual(['owner serverDownAndUp s1'])
  })
})

describe('comings and goings', () => {
  test('a server that never joined is nobody’s outage, and no error of its own', async () => {
    fleet.add(1, 'notJoined')
    boot()
    await runtime.advance(600_000)
    expect(said).toEqual([])
    expect(fleet.rows.get(1)).toMatchObject({ status: 'pending', lastError: null })
  })

  test('a newcomer is online a moment after its agent listens', async () => {
    fleet.add(1, 'notJoined')
    boot()
    await runtime.advance(31_000)
    fleet.moods.set(1, 'dead')
    fleet.emit('joined', 1)
    await runtime.advance(2_500)
    expect(status(1)).toBe('pending')
    fleet.moods.set(1, 'up')
    await runtime.advance(1_500)
    expect(status(1)).toBe('online')
    expect(fleet.count('described 1')).toBe(1)
    await runtime.advance(120_000)
    expect(said).toEqual([])
  })

  test('switched off while down: its incident ends without a word, what was not yet said is taken back', async () => {
    await settle(1, 2)
    telegramIsAway = true
    for (const id of [1, 2]) fleet.moods.set(id, 'dead')
    await runtime.advance(120_000)
    expect(openIncidents()).toBe(2)
    fleet.enable(1, false)
    fleet.remove(2)
    telegramIsAway = false
    await runtime.advance(120_000)
    expect(openIncidents()).toBe(0)
    expect(said).toEqual([])
    const probes = fleet.count('health 1')
    await runtime.advance(120_000)
    expect(fleet.count('health 1')).toBe(probes)
  })

  test('switched on again it is looked at at once, and is an outage if it is silent', async () => {
    await settle(1)
    fleet.enable(1, false)
    await runtime.advance(120_000)
    fleet.enable(1, true)
    await runtime.advance(0)
    expect(status(1)).toBe('online')
    fleet.enable(1, false)
    fleet.moods.set(1, 'dead')
    fleet.enable(1, true)
    await runtime.advance(60_000)
    expect(said).toEqual(['owner serverDown s1'])
  })

  test('an answer that comes after the server was removed changes nothing', async () => {
    await settle(1)
    fleet.moods.set(1, 'silent')
    const checked = controller.monitor.check(1)
    fleet.remove(1)
    await runtime.advance(10_000)
    await checked
    expect(store.db().select().from(tables.serverHealth).all()).toEqual([])
  })

  test('a new version is noticed', async () => {
    await settle(1)
    expect(fleet.count('info 1')).toBe(1)
    fleet.agentVersion = '0.2.0'
    await runtime.advance(31_000)
    expect(fleet.count('info 1')).toBe(2)
    expect(fleet.rows.get(1)?.version).toBe('0.2.0')
  })
})

test('a quiet fleet costs no write, and reports when it was seen alone', async () => {
  await settle(1, 2)
  const changes = (): unknown => store.db().$client.prepare('select total_changes()').pluck().get()
  const before = changes()
  fleet.reports.length = 0
  await runtime.advance(3_600_000)
  expect(changes()).toBe(before)
  expect(new Set(fleet.reports.flatMap((report) => Object.keys(report)))).toEqual(new Set(['id', 'lastSeen']))
  expect(fleet.reports.length).toBeGreaterThan(200)
})

test('a sweep never overlaps another, and no server is probed twice at once', async () => {
  await settle(1)
  fleet.moods.set(1, 'silent')
  fleet.calls.length = 0
  const all = Promise.all([
    controller.monitor.sweep(),
    controller.monitor.sweep(),
    controller.monitor.check(1),
    controller.monitor.check(1),
  ])
  await runtime.advance(9_000)
  expect(fleet.count('health 1')).toBe(1)
  await runtime.advance(1_000)
  await all
})

describe('a restart of the controller', () => {
  test('while down: no second alert, exactly one recovery', async () => {
    await settle(1)
    fleet.moods.set(1, 'dead')
    await runtime.advance(120_000)
    await reboot(60_000)
    await runtime.advance(180_000)
    expect(said).toEqual(['owner serverDown s1'])
    await reboot(60_000)
    fleet.moods.set(1, 'up')
    await runtime.advance(60_000)
    await reboot(60_000)
    await runtime.advance(180_000)
    expect(said).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('it came back meanwhile: one recovery', async () => {
    await settle(1)
    fleet.moods.set(1, 'dead')
    await runtime.advance(120_000)
    await controller.stop()
    fleet.moods.set(1, 'up')
    store.reopen()
    boot()
    await runtime.advance(10_000)
    expect(said).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('it died meanwhile: told after the grace, not before', async () => {
    await settle(1)
    await controller.stop()
    fleet.moods.set(1, 'dead')
    store.reopen()
    boot()
    await runtime.advance(59_000)
    expect(said).toEqual([])
    await runtime.advance(10_000)
    expect(said).toEqual(['owner serverDown s1'])
  })

  test('a blip around the restart is no alert', async () => {
    await settle(1)
    fleet.moods.set(1, 'dead')
    await reboot(300_000)
    await runtime.advance(20_000)
    fleet.moods.set(1, 'up')
    await runtime.advance(300_000)
    expect(said).toEqual([])
  })

  test('while suspect: the evidence is kept, and it counts from the first miss', async () => {
    await settle(1)
    fleet.moods.set(1, 'dead')
    await runtime.advance(40_000)
    expect(said).toEqual([])
    const [row] = store.db().select().from(tables.serverHealth).all()
    expect(row?.state).toMatchObject({ streaks: { offline: { count: expect.any(Number) } } })
    await reboot(10_000)
    await runtime.advance(70_000)
    expect(said).toEqual(['owner serverDown s1'])
    const down = facts[0]
    if (down?.kind !== 'serverDown') throw new Error('not an outage')
    expect(seconds(down.payload.since)).toBeLessThanOrEqual(330)
  })

  test('while coming back: one recovery', async () => {
    await settle(1)
    fleet.moods.set(1, 'dead')
    await runtime.advance(120_000)
    fleet.moods.set(1, 'up')
    await controller.monitor.check(1)
    expect(status(1)).toBe('offline')
    await reboot(1_000)
    await runtime.advance(60_000)
    expect(said).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('in every phase of a life, again and again: told in turn, nothing twice, nothing lost', async () => {
    await settle(1)
    const life: [Mood, number][] = [
      ['dead', 33_000],
      ['dead', 90_000],
      ['up', 4_000],
      ['up', 90_000],
      ['xrayDown', 33_000],
      ['xrayDown', 90_000],
      ['dead', 33_000],
      ['dead', 90_000],
      ['up', 90_000],
    ]
    for (const [mood, ms] of life) {
      fleet.moods.set(1, mood)
      await runtime.advance(ms)
      expect(openIncidents()).toBeLessThanOrEqual(1)
      await reboot(7_000)
    }
    await runtime.advance(90_000)
    expect(said).toEqual([
      'owner serverDown s1',
      'owner serverUp s1',
      'owner serverDown s1',
      'owner serverDown s1',
      'owner serverUp s1',
    ])
    expect(status(1)).toBe('online')
    expect(openIncidents()).toBe(0)
  })
})
