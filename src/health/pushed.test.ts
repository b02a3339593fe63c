import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createHealthDesk, type HealthDesk } from '#test/support/health-desk.ts'

let desk: HealthDesk
beforeEach(async () => {
  desk = createHealthDesk()
  desk.fleet.add(1)
  desk.boot()
  // Well for some minutes, and in the middle between two sweeps.
  await desk.runtime.advance(303_000)
  expect(status()).toBe('online')
  desk.fleet.calls.length = 0
})
afterEach(() => desk.close())

const status = (): string | undefined => desk.fleet.rows.get(1)?.status

describe('what is pushed', () => {
  test('Xray ends and stays away: told within 10 s, not at the next sweep', async () => {
    desk.fleet.moods.set(1, 'xrayDown')
    desk.fleet.emit('suspect', 1)
    await desk.runtime.advance(10_000)
    expect(desk.said()).toEqual(['owner serverDown s1'])
    expect(desk.facts[0]?.payload).toMatchObject({ state: 'error' })
  })

  test('Xray ends and is back at once: not a word', async () => {
    desk.fleet.moods.set(1, 'xrayDown')
    desk.fleet.emit('suspect', 1)
    await desk.runtime.advance(1_500)
    desk.fleet.moods.set(1, 'up')
    desk.fleet.emit('suspect', 1)
    await desk.runtime.advance(120_000)
    expect(desk.said()).toEqual([])
  })

  test('Xray is away for three seconds, and everything is pushed twice: not a word', async () => {
    desk.fleet.moods.set(1, 'xrayDown')
    for (let ms = 0; ms < 3_000; ms += 500) {
      desk.fleet.emit('suspect', 1)
      await desk.runtime.advance(500)
    }
    expect(desk.fleet.count('health 1')).toBeGreaterThan(1)
    desk.fleet.moods.set(1, 'up')
    desk.fleet.emit('suspect', 1)
    await desk.runtime.advance(120_000)
    expect(desk.said()).toEqual([])
  })

  test('it is newer than a probe under way, which is followed by another', async () => {
    desk.fleet.moods.set(1, 'slow')
    const checked = desk.monitor().check(1)
    await desk.runtime.advance(1_000)
    desk.fleet.moods.set(1, 'xrayDown')
    desk.fleet.emit('suspect', 1)
    await desk.runtime.advance(1_000)
    await checked
    expect(desk.fleet.count('health 1')).toBe(2)
    await desk.runtime.advance(6_000)
    expect(status()).toBe('error')
  })

  test('a server that pushes without end is looked at once a second, and one that is gone not at all', async () => {
    for (let ms = 0; ms < 10_000; ms += 50) {
      desk.fleet.emit('suspect', 1)
      desk.fleet.emit('suspect', 9)
      await desk.runtime.advance(50)
    }
    expect(desk.fleet.count('health 1')).toBeLessThanOrEqual(12)
    expect(desk.fleet.count('health 9')).toBe(0)
    desk.fleet.emit('suspect', 1)
    await desk.stop()
  })
})
