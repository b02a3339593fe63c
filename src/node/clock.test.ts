import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { migratedDatabases } from '#test/support/migrated.ts'
import { createNodeClock, judgeTime } from './clock.ts'
import { createSettings } from './settings.ts'

const MINUTE = 60 * 1000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const START = Date.UTC(2026, 0, 15)

const database = migratedDatabases()

function setup() {
  const clocks = createFakeRuntime({ now: START })
  const db = database()
  const restart = () => createNodeClock(clocks, createSettings(db))
  return { clocks, restart }
}

describe('the clock limits are kept by', () => {
  test.each([-400 * DAY, -2 * DAY, 2 * DAY, 4_000 * DAY])(
    'a jump of %i ms is believed when it has stood for an hour, and not before',
    (jump) => {
      const { clocks, restart } = setup()
      const clock = restart()
      clocks.setAhead(jump)
      expect(clock.now()).toBe(START)
      clocks.skip(59 * MINUTE)
      expect(clock.now()).toBe(START + 59 * MINUTE)
      clocks.skip(MINUTE)
      expect(clock.now()).toBe(START + jump + HOUR)
    },
  )

  test('one that is set right again was never believed', () => {
    const { clocks, restart } = setup()
    const clock = restart()
    clocks.setAhead(30 * DAY)
    clock.now()
    clocks.skip(50 * MINUTE)
    clock.now()
    clocks.setAhead(-30 * DAY)
    clocks.skip(50 * MINUTE)
    expect(clock.now()).toBe(START + 100 * MINUTE)
  })

  test('set back a little, time stands still until it has caught up', () => {
    const { clocks, restart } = setup()
    const clock = restart()
    clocks.setAhead(-2 * MINUTE)
    expect(clock.now()).toBe(START)
    clocks.skip(MINUTE)
    expect(clock.now()).toBe(START)
    clocks.skip(2 * MINUTE)
    expect(clock.now()).toBe(START + MINUTE)
  })

  test('after a start, a later time is taken as it is, an earlier one looked at first', () => {
    const { clocks, restart } = setup()
    restart().note()
    clocks.setAhead(3 * DAY)
    const off = restart()
    expect(off.now()).toBe(START + 3 * DAY)
    off.note()
    clocks.setAhead(-2 * DAY)
    const back = restart()
    expect(back.now()).toBe(START + 3 * DAY)
    clocks.skip(HOUR)
    expect(back.now()).toBe(START + DAY + HOUR)
  })

  test('by whatever steps, it goes forward but for what is believed, in whole milliseconds', () => {
    const step = fc.record({
      wait: fc.double({ min: 0, max: 3 * HOUR, noNaN: true }),
      jump: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: -DAY, max: DAY })),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let [wall, steady] = [START, 0.5]
        let standing = judgeTime({ time: wall, steady, doubt: null }, { wall, steady })
        for (const { wait, jump } of steps) {
          wall += Math.round(wait) + jump
          steady += wait
          const next = judgeTime(standing, { wall, steady })
          expect(Number.isInteger(next.time)).toBe(true)
          if (next.time < standing.time) expect(next.time).toBe(wall)
          if (next.doubt === null) expect(next.time - wall).toBeLessThanOrEqual(5 * MINUTE)
          standing = next
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
