import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tables } from '#src/store/drizzle.ts'
import { createHealthDesk, DESK_OPENED, type HealthDesk } from '#test/support/health-desk.ts'

let desk: HealthDesk

beforeEach(() => {
  desk = createHealthDesk()
})

afterEach(() => desk.close())

describe('whether health does its work', () => {
  test('it does while sweeps end; a sweep that takes its time is none that is missing', async () => {
    desk.fleet.add(1)
    desk.boot()
    expect(desk.monitor().lastSweepEndedAt()).toBeNull()
    expect(desk.monitor().isAwake()).toBe(true)
    await desk.runtime.advance(1_000)
    expect(desk.monitor().lastSweepEndedAt()).toBe(DESK_OPENED)
    desk.fleet.moods.set(1, 'silent')
    await desk.runtime.advance(45_000)
    expect(desk.monitor().lastSweepEndedAt()).toBeGreaterThan(DESK_OPENED + 30_000)
    expect(desk.monitor().isAwake()).toBe(true)
  })

  test('it does not once sweeps have failed for three intervals, and does again after one has ended', async () => {
    desk.fleet.add(1)
    desk.boot()
    await desk.runtime.advance(300_000)
    const endedAt = desk.monitor().lastSweepEndedAt()
    const { list } = desk.fleet.servers
    desk.fleet.servers.list = () => {
      throw new Error('disk I/O error')
    }
    await desk.runtime.advance(60_000)
    expect(desk.monitor().isAwake()).toBe(true)
    await desk.runtime.advance(60_000)
    expect(desk.monitor().isAwake()).toBe(false)
    expect(desk.monitor().lastSweepEndedAt()).toBe(endedAt)
    desk.fleet.servers.list = list
    await desk.monitor().sweep()
    expect(desk.monitor().isAwake()).toBe(true)
  })

  test('a first sweep that never comes is noticed too', async () => {
    let asked = 0
    desk.fleet.servers.list = () => {
      // The start itself reads the list once.
      if (asked++ === 0) return []
      throw new Error('disk I/O error')
    }
    desk.boot()
    await desk.runtime.advance(90_000)
    expect(desk.monitor().isAwake()).toBe(true)
    await desk.runtime.advance(30_000)
    expect(desk.monitor().isAwake()).toBe(false)
    expect(desk.monitor().lastSweepEndedAt()).toBeNull()
  })
})

test('a sender that cannot be woken makes no second incident, and has the message with the next probe', async () => {
  desk.fleet.add(1)
  desk.boot()
  await desk.runtime.advance(300_000)
  desk.failWakes = 1
  desk.fleet.moods.set(1, 'dead')
  await desk.runtime.advance(120_000)
  expect(desk.said()).toEqual(['owner serverDown s1'])
  expect(desk.store.db().select().from(tables.incidents).all()).toHaveLength(1)
  expect(desk.fleet.rows.get(1)?.status).toBe('offline')
})
