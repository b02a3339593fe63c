import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Outgoing } from '#src/notify/sender.ts'
import type { Mood } from '#test/support/fake-fleet.ts'
import { createHealthDesk, type HealthDesk } from '#test/support/health-desk.ts'

/** What may befall the controller and its one server. */
type Fate =
  | { is: 'mood'; mood: Mood }
  | { is: 'telegram'; away: boolean }
  | { is: 'reboot'; away: number }
  | { is: 'enabled'; enabled: boolean }

const fate: fc.Arbitrary<Fate> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constant('mood'),
      mood: fc.constantFrom('up', 'dead', 'silent', 'xrayDown', 'partly'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('telegram'), away: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ is: fc.constant('reboot'), away: fc.integer({ min: 0, max: 100_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('enabled'), enabled: fc.boolean() }) },
)

async function befall(desk: HealthDesk, event: Fate): Promise<void> {
  if (event.is === 'mood') desk.fleet.moods.set(1, event.mood)
  else if (event.is === 'telegram') desk.telegramIsAway = event.away
  else if (event.is === 'reboot') await desk.reboot(event.away)
  else desk.fleet.enable(1, event.enabled)
}

/** What a reader of this chat believes, message by message. */
function believes(messages: Outgoing[]): string {
  let belief = 'online'
  for (const { kind, payload } of messages) {
    // A recovery from an outage nobody was told of.
    if (kind === 'serverUp') expect(belief).not.toBe('online')
    belief = kind === 'serverDown' ? payload.state : 'online'
  }
  return belief
}

test('whatever befalls: told in turn, at most one incident open, and in the end the chat knows how it is', async () => {
  const pause = fc.integer({ min: 1_000, max: 100_000 })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fate, pause), { maxLength: 12 }), async (life) => {
      const desk = createHealthDesk()
      try {
        desk.fleet.add(1)
        desk.boot()
        await desk.runtime.advance(61_000)
        let hushed = false
        for (const [event, ms] of life) {
          await befall(desk, event)
          // The reader switched it off: what was told before is no belief about a server that is not watched.
          if (event.is === 'enabled' && !event.enabled) hushed = true
          await desk.runtime.advance(ms)
          expect(desk.openIncidents()).toBeLessThanOrEqual(1)
        }
        await befall(desk, { is: 'telegram', away: false })
        await befall(desk, { is: 'enabled', enabled: true })
        await desk.runtime.advance(240_000)
        const belief = believes(desk.facts)
        const status = desk.fleet.rows.get(1)?.status
        if (!hushed || status !== 'online') expect(belief).toBe(status)
        expect(desk.openIncidents()).toBe(status === 'online' ? 0 : 1)
        const expected: Partial<Record<Mood, string>> = {
          up: 'online',
          dead: 'offline',
          silent: 'offline',
          xrayDown: 'error',
          partly: 'partly',
        }
        expect(status).toBe(expected[desk.fleet.moods.get(1) ?? 'up'])
      } finally {
        await desk.close()
      }
    }),
    { numRuns: 40 },
  )
}, 240_000)
