import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { migratedDatabases } from '#test/support/migrated.ts'
import { type Standing, createNodeClock, judgeTime, startTime } from './clock.ts'
import { type MachineUptime, createSettings } from '../rows/settings.ts'

const MINUTE = 60 * 1000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const START = Date.UTC(2026, 0, 15)

const database = migratedDatabases()

/** A node that has run for long. `boot` is when the machine was started. */
function setup(boot: { at: number } | null = null) {
  const clocks = createFakeRuntime({ now: START })
  const db = database()
  const uptime = () => boot && { boot: `boot-${boot.at}`, ms: clocks.monotonic() - boot.at }
  const restart = () => createNodeClock(clocks, createSettings(db), uptime)
  createSettings(db).setTimeSeen({ time: START, lived: null, uptime: uptime() })
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

  test.each([3 * DAY, -2 * DAY])('after a start a time that is %i ms off is looked at first', (jump) => {
    const { clocks, restart } = setup()
    clocks.setAhead(jump)
    const clock = restart()
    expect(clock.now()).toBe(START)
    // It may be as late as that: the machine may have been off.
    expect(clock.mayBeLater()).toBe(jump > 0)
    clocks.skip(59 * MINUTE)
    expect(clock.now()).toBe(START + 59 * MINUTE)
    clocks.skip(MINUTE)
    expect(clock.now()).toBe(START + jump + HOUR)
    expect(clock.mayBeLater()).toBe(false)
  })

  test('a jump amid a run leaves no doubt that it is as late as it was', () => {
    const { clocks, restart } = setup()
    const clock = restart()
    clocks.setAhead(3 * DAY)
    clock.now()
    expect(clock.mayBeLater()).toBe(false)
  })

  test('where the machine has run on, it tells how long we were off', () => {
    const boot = { at: START - DAY }
    const { clocks, restart } = setup(boot)
    clocks.skip(3 * DAY)
    expect(restart().now()).toBe(START + 3 * DAY)
    clocks.setAhead(40 * DAY)
    expect(restart().now()).toBe(START + 3 * DAY)
    // Started anew, it tells nothing.
    boot.at = clocks.monotonic()
    expect(restart().now()).toBe(START)
  })

  test('nothing speaks against the clock of the first hour there is', () => {
    const clocks = createFakeRuntime({ now: START + 300 * DAY })
    const clock = createNodeClock(clocks, createSettings(database()))
    clock.note()
    clocks.skip(MINUTE)
    clocks.setAhead(-300 * DAY)
    expect(clock.now()).toBe(START + MINUTE)
    clocks.skip(HOUR)
    clocks.setAhead(10 * DAY)
    expect(clock.now()).toBe(START + MINUTE + HOUR)
  })

  test('what was believed for lack of another is left at once for the time that was ticked before it', () => {
    const { clocks, restart } = setup()
    const clock = restart()
    clocks.setAhead(300 * DAY)
    clock.now()
    clocks.skip(5 * HOUR)
    expect(clock.now()).toBe(START + 300 * DAY + 5 * HOUR)
    clocks.setAhead(-300 * DAY)
    expect(clock.now()).toBe(START + 5 * HOUR)
    clocks.setAhead(-2 * DAY)
    expect(clock.now()).toBe(START + 5 * HOUR)
  })

  test('how long we have lived grows with no jump, and not while we are off', () => {
    const { clocks, restart } = setup()
    const clock = restart()
    clock.note()
    clocks.setAhead(300 * DAY)
    clocks.skip(2 * HOUR)
    clock.note()
    expect(clock.lived()).toBe(START + 2 * HOUR)
    clocks.skip(HOUR)
    const next = restart()
    expect(next.lived()).toBe(START + 2 * HOUR)
    clocks.skip(HOUR)
    expect(next.lived()).toBe(START + 3 * HOUR)
  })

  const wait = fc.integer({ min: 1, max: 5 * HOUR })
  const honest = fc.oneof(
    { weight: 3, arbitrary: fc.record({ does: fc.constant('run'), wait }) },
    {
      weight: 3,
      arbitrary: fc.record({
        does: fc.constant('wrong'),
        by: fc.integer({ min: -4_000 * DAY, max: 4_000 * DAY }),
        wait: fc.integer({ min: 0, max: 25 * MINUTE }),
        isAmidRestart: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('restart'), off: fc.nat(3 * HOUR) }) },
  )
  test.each([true, false])(
    'a clock that is wrong for less than an hour, over starts too, changes nothing (the machine runs on: %j)',
    (runsOn) => {
      fc.assert(
        fc.property(fc.array(honest, { maxLength: 30 }), (steps) => {
          let [truth, steady, ahead, boot] = [START, 0, 0, 0]
          const clocks = () => ({ wall: truth + ahead, steady })
          const uptime = (): MachineUptime => ({ boot: String(boot), ms: truth - START })
          let standing: Standing = startTime(
            { time: START, lived: null, uptime: uptime() },
            clocks(),
            uptime(),
          )
          const pass = (ms: number): void => {
            for (let left = ms; left > 0; left -= 10_000) {
              truth += Math.min(left, 10_000)
              steady += Math.min(left, 10_000)
              standing = judgeTime(standing, clocks())
              expect(Math.abs(standing.time - truth)).toBeLessThanOrEqual(5 * MINUTE)
            }
          }
          const restart = (off: number): void => {
            const noted = { time: standing.time, lived: null, uptime: uptime() }
            truth += off
            // Its own clock begins anywhere.
            steady = off
            if (!runsOn) boot++
            standing = startTime(noted, clocks(), uptime())
          }
          for (const step of steps) {
            if ('off' in step) restart(runsOn ? step.off : step.off / 50)
            else if ('by' in step) {
              ahead = step.by
              pass(step.wait)
              if (step.isAmidRestart) restart(1_000)
              pass(step.wait)
              ahead = 0
              pass(1)
              expect(standing.doubt).toBe(null)
            } else pass(step.wait)
          }
        }),
        { numRuns: 300 },
      )
    },
  )

  test('by whatever steps, it goes forward but for what is believed, in whole milliseconds', () => {
    const step = fc.record({
      wait: fc.double({ min: 0, max: 3 * HOUR, noNaN: true }),
      jump: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: -DAY, max: DAY })),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let [wall, steady] = [START, 0.5]
        let standing = startTime({ time: wall, lived: null, uptime: null }, { wall, steady }, null)
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
