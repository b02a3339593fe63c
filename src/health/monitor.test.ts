import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tables } from '#src/store/drizzle.ts'
import type { Mood } from '#test/support/fake-fleet.ts'
import { createHealthDesk, DESK_OPENED, type HealthDesk } from '#test/support/health-desk.ts'

let desk: HealthDesk

beforeEach(() => {
  desk = createHealthDesk()
})

afterEach(() => desk.close())

/** A fleet that has been well for some minutes. */
async function settle(...ids: number[]): Promise<void> {
  for (const id of ids) desk.fleet.add(id)
  desk.boot()
  await desk.runtime.advance(300_000)
  expect(ids.map(status)).toEqual(ids.map(() => 'online'))
  expect(desk.said()).toEqual([])
}

const status = (id: number): string | undefined => desk.fleet.rows.get(id)?.status
const seconds = (ms: number): number => (ms - DESK_OPENED) / 1_000

describe('outages', () => {
  test.each<[Mood]>([['dead'], ['silent']])('gone for 20 s (%s): not a word', async (mood) => {
    await settle(1)
    desk.fleet.moods.set(1, mood)
    await desk.runtime.advance(20_000)
    desk.fleet.moods.set(1, 'up')
    await desk.runtime.advance(300_000)
    expect(desk.said()).toEqual([])
    expect(status(1)).toBe('online')
  })

  test.each<[Mood, string]>([
    ['dead', 'SERVER_UNREACHABLE'],
    ['silent', 'SERVER_TIMEOUT'],
  ])('gone for good (%s): told once within 70 s, with the reason', async (mood, code) => {
    await settle(1)
    desk.fleet.moods.set(1, mood)
    await desk.runtime.advance(70_000)
    expect(desk.said()).toEqual(['owner serverDown s1'])
    expect(desk.facts[0]?.payload).toMatchObject({ serverId: 1, state: 'offline', reason: { code } })
    await desk.runtime.advance(3_600_000)
    expect(desk.said()).toHaveLength(1)
    expect(status(1)).toBe('offline')
    expect(desk.fleet.rows.get(1)?.lastError).toMatch(/cannot be reached|did not answer/)
  })

  test('back again: told once, with when it began and when it ended', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'dead')
    await desk.runtime.advance(600_000)
    desk.fleet.moods.set(1, 'up')
    desk.fleet.calls.length = 0
    await desk.runtime.advance(60_000)
    expect(desk.said()).toEqual(['owner serverDown s1', 'owner serverUp s1'])
    const up = desk.facts[1]
    if (up?.kind !== 'serverUp') throw new Error('not a recovery')
    expect(seconds(up.payload.downSince)).toBeGreaterThanOrEqual(300)
    expect(seconds(up.payload.downSince)).toBeLessThanOrEqual(330)
    expect(seconds(up.payload.upAt)).toBeGreaterThanOrEqual(900)
    expect(seconds(up.payload.upAt)).toBeLessThanOrEqual(930)
    expect([desk.facts[0]?.silent, up.silent]).toEqual([false, true])
    expect(status(1)).toBe('online')
    expect(desk.fleet.count('kick 1')).toBeGreaterThan(0)
    expect(desk.fleet.count('described 1')).toBe(1)
    expect(desk.openIncidents()).toBe(0)
  })

  test('Xray down while the agent answers: told as an error; one recovery', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'xrayDown')
    await desk.runtime.advance(36_000)
    expect(desk.facts[0]?.payload).toMatchObject({
      state: 'error',
      reason: { code: 'XRAY_UNAVAILABLE', details: { reason: 'signal: killed' } },
    })
    expect(status(1)).toBe('error')
    desk.fleet.moods.set(1, 'up')
    await desk.runtime.advance(36_000)
    expect(desk.said()).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('many servers: those that are silent hold up nobody, each has its own alert, each owner is told', async () => {
    desk.chats = ['owner', 'other']
    await settle(1, 2, 3)
    desk.fleet.moods.set(1, 'silent')
    desk.fleet.moods.set(2, 'xrayDown')
    await desk.runtime.advance(90_000)
    expect(desk.said().toSorted()).toEqual([
      'other serverDown s1',
      'other serverDown s2',
      'owner serverDown s1',
      'owner serverDown s2',
    ])
    expect([1, 2, 3].map(status)).toEqual(['offline', 'error', 'online'])
  })

  test('an owner who was not told of the outage is not told of its end', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'dead')
    await desk.runtime.advance(120_000)
    desk.chats = ['owner', 'newcomer']
    desk.fleet.moods.set(1, 'up')
    await desk.runtime.advance(120_000)
    expect(desk.said()).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('Telegram away during all of it: one message tells both', async () => {
    await settle(1)
    desk.telegramIsAway = true
    desk.fleet.moods.set(1, 'dead')
    await desk.runtime.advance(120_000)
    desk.fleet.moods.set(1, 'up')
    await desk.runtime.advance(120_000)
    desk.telegramIsAway = false
    await desk.runtime.advance(120_000)
    expect(desk.said()).toEqual(['owner serverDownAndUp s1'])
  })
})

test('Telegram away while one trouble turns into another: the one that still holds is told', async () => {
  await settle(1)
  desk.telegramIsAway = true
  desk.fleet.moods.set(1, 'xrayDown')
  await desk.runtime.advance(60_000)
  desk.fleet.moods.set(1, 'dead')
  await desk.runtime.advance(120_000)
  desk.telegramIsAway = false
  await desk.runtime.advance(60_000)
  expect(desk.facts.map((message) => message.payload)).toMatchObject([{ state: 'offline' }])
})

describe('comings and goings', () => {
  test('a server that never joined is nobody’s outage, and no error of its own', async () => {
    desk.fleet.add(1, 'notJoined')
    desk.boot()
    await desk.runtime.advance(600_000)
    expect(desk.said()).toEqual([])
    expect(desk.fleet.rows.get(1)).toMatchObject({ status: 'pending', lastError: null })
  })

  test('a newcomer is online a moment after its agent listens', async () => {
    desk.fleet.add(1, 'notJoined')
    desk.boot()
    await desk.runtime.advance(31_000)
    desk.fleet.moods.set(1, 'dead')
    desk.fleet.emit('joined', 1)
    await desk.runtime.advance(2_500)
    expect(status(1)).toBe('pending')
    desk.fleet.moods.set(1, 'up')
    await desk.runtime.advance(1_500)
    expect(status(1)).toBe('online')
    expect(desk.fleet.count('described 1')).toBe(1)
    const probes = desk.fleet.count('health 1')
    await desk.runtime.advance(120_000)
    expect(desk.fleet.count('health 1')).toBe(probes + 4)
    expect(desk.said()).toEqual([])
  })

  test('switched off while down: its incident ends without a word, what was not yet said is taken back', async () => {
    await settle(1, 2)
    desk.telegramIsAway = true
    for (const id of [1, 2]) desk.fleet.moods.set(id, 'dead')
    await desk.runtime.advance(120_000)
    expect(desk.openIncidents()).toBe(2)
    desk.fleet.enable(1, false)
    desk.fleet.remove(2)
    desk.telegramIsAway = false
    await desk.runtime.advance(120_000)
    expect(desk.openIncidents()).toBe(0)
    expect(desk.said()).toEqual([])
    const probes = desk.fleet.count('health 1')
    await desk.runtime.advance(120_000)
    expect(desk.fleet.count('health 1')).toBe(probes)
  })

  test('switched on again it is looked at at once, and is an outage if it is silent', async () => {
    await settle(1)
    desk.fleet.enable(1, false)
    await desk.runtime.advance(120_000)
    desk.fleet.enable(1, true)
    await desk.runtime.advance(0)
    expect(status(1)).toBe('online')
    desk.fleet.enable(1, false)
    desk.fleet.moods.set(1, 'dead')
    desk.fleet.enable(1, true)
    await desk.runtime.advance(60_000)
    expect(desk.said()).toEqual(['owner serverDown s1'])
  })

  test('an answer that comes after the server was removed changes nothing', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'silent')
    const checked = desk.monitor().check(1)
    desk.fleet.remove(1)
    await desk.runtime.advance(10_000)
    await checked
    expect(desk.store.db().select().from(tables.serverHealth).all()).toEqual([])
  })

  test('a probe that is cut short by switching off, or by our own end, is no miss', async () => {
    await settle(1)
    const stored = (): unknown => desk.store.db().select().from(tables.serverHealth).get()?.state
    desk.fleet.moods.set(1, 'silent')
    const before = desk.fleet.rows.get(1)
    await desk.runtime.advance(31_000)
    const healthy = stored()
    await desk.reboot(1_000)
    expect(stored()).toEqual(healthy)
    desk.fleet.enable(1, false)
    const off = stored()
    await desk.runtime.advance(30_000)
    expect(stored()).toEqual(off)
    expect(desk.fleet.rows.get(1)?.lastError).toBe(before?.lastError)
  })

  test('a new version is noticed', async () => {
    await settle(1)
    expect(desk.fleet.count('info 1')).toBe(1)
    desk.fleet.agentVersion = '0.2.0'
    await desk.runtime.advance(31_000)
    expect(desk.fleet.count('info 1')).toBe(2)
    expect(desk.fleet.rows.get(1)?.version).toBe('0.2.0')
  })
})

test('a quiet fleet costs no write, and reports when it was seen alone', async () => {
  await settle(1, 2)
  const changes = (): unknown => desk.store.db().$client.prepare('select total_changes()').pluck().get()
  const before = changes()
  desk.fleet.reports.length = 0
  await desk.runtime.advance(3_600_000)
  expect(changes()).toBe(before)
  expect(new Set(desk.fleet.reports.flatMap((report) => Object.keys(report)))).toEqual(
    new Set(['id', 'lastSeen']),
  )
  expect(desk.fleet.reports.length).toBeGreaterThan(200)
})

test('a sweep never overlaps another, and no server is probed twice at once', async () => {
  await settle(1)
  desk.fleet.moods.set(1, 'silent')
  desk.fleet.calls.length = 0
  const all = Promise.all([
    desk.monitor().sweep(),
    desk.monitor().sweep(),
    desk.monitor().check(1),
    desk.monitor().check(1),
  ])
  await desk.runtime.advance(9_000)
  expect(desk.fleet.count('health 1')).toBe(1)
  await desk.runtime.advance(1_000)
  await all
})

describe('a restart of the controller', () => {
  test('while down: no second alert, exactly one recovery', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'dead')
    await desk.runtime.advance(120_000)
    await desk.reboot(60_000)
    await desk.runtime.advance(180_000)
    expect(desk.said()).toEqual(['owner serverDown s1'])
    await desk.reboot(60_000)
    desk.fleet.moods.set(1, 'up')
    await desk.runtime.advance(60_000)
    await desk.reboot(60_000)
    await desk.runtime.advance(180_000)
    expect(desk.said()).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('killed between its own record and the fleet’s: the fleet hears of it at the start', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'silent')
    await desk.runtime.advance(120_000)
    await desk.stop()
    desk.fleet.servers.report(1, { status: 'online' })
    desk.boot()
    expect(status(1)).toBe('offline')
  })

  test('it came back meanwhile: one recovery', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'dead')
    await desk.runtime.advance(120_000)
    await desk.stop()
    desk.fleet.moods.set(1, 'up')
    desk.store.reopen()
    desk.boot()
    await desk.runtime.advance(10_000)
    expect(desk.said()).toEqual(['owner serverDown s1', 'owner serverUp s1'])
  })

  test('it died meanwhile: told after the grace, not before', async () => {
    await settle(1)
    await desk.stop()
    desk.fleet.moods.set(1, 'dead')
    desk.store.reopen()
    desk.boot()
    await desk.runtime.advance(59_000)
    expect(desk.said()).toEqual([])
    await desk.runtime.advance(10_000)
    expect(desk.said()).toEqual(['owner serverDown s1'])
  })

  test('a blip around the restart is no alert', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'dead')
    await desk.reboot(300_000)
    await desk.runtime.advance(20_000)
    desk.fleet.moods.set(1, 'up')
    await desk.runtime.advance(300_000)
    expect(desk.said()).toEqual([])
  })

  test('while suspect: the evidence is kept, and it counts from the first miss', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'dead')
    await desk.runtime.advance(40_000)
    expect(desk.said()).toEqual([])
    const [row] = desk.store.db().select().from(tables.serverHealth).all()
    expect(row?.state).toMatchObject({ streaks: { offline: { count: expect.any(Number) } } })
    await desk.reboot(10_000)
    await desk.runtime.advance(70_000)
    expect(desk.said()).toEqual(['owner serverDown s1'])
    const down = desk.facts[0]
    if (down?.kind !== 'serverDown') throw new Error('not an outage')
    expect(seconds(down.payload.since)).toBeLessThanOrEqual(330)
  })

  test('while coming back: one recovery', async () => {
    await settle(1)
    desk.fleet.moods.set(1, 'dead')
    await desk.runtime.advance(120_000)
    desk.fleet.moods.set(1, 'up')
    await desk.monitor().check(1)
    expect(status(1)).toBe('offline')
    await desk.reboot(1_000)
    await desk.runtime.advance(60_000)
    expect(desk.said()).toEqual(['owner serverDown s1', 'owner serverUp s1'])
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
      desk.fleet.moods.set(1, mood)
      await desk.runtime.advance(ms)
      expect(desk.openIncidents()).toBeLessThanOrEqual(1)
      await desk.reboot(7_000)
    }
    await desk.runtime.advance(90_000)
    expect(desk.said()).toEqual([
      'owner serverDown s1',
      'owner serverUp s1',
      'owner serverDown s1',
      'owner serverDown s1',
      'owner serverUp s1',
    ])
    expect(status(1)).toBe('online')
    expect(desk.openIncidents()).toBe(0)
  })
})
