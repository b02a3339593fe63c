import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide, type HealthEffect, type HealthEvent } from './decide.ts'
import { defaultHealthPolicy as policy } from './policy.ts'
import { type HealthState, parseHealthState, unknownServer } from './state.ts'

const reason = { code: 'SERVER_UNREACHABLE', details: { reason: 'nothing listens there' } } as const
const partlyReason = { code: 'XRAY_PARTLY', details: { reason: 'the inbound main is closed' } } as const
const xrayReason = { code: 'XRAY_UNAVAILABLE', details: { reason: 'it is not running' } } as const

const NOW = 1_000_000_000
const s = (seconds: number): number => NOW + seconds * 1_000

/** `g` good, `m` missed, `x` Xray down, `p` running in part, at a second each: `g@0 m@30 m@35`. Outcomes are known at once. */
function play(
  from: HealthState,
  story: string,
): { state: HealthState; effects: (HealthEffect & { known: number })[] } {
  let state = from
  const effects: (HealthEffect & { known: number })[] = []
  for (const step of story.split(' ').filter(Boolean)) {
    const [what, second] = step.split('@')
    const askedAt = s(Number(second))
    const event: HealthEvent =
      what === 'g'
        ? { type: 'answered', askedAt }
        : what === 'm'
          ? { type: 'missed', askedAt, reason }
          : what === 'x'
            ? { type: 'xrayDown', askedAt, reason: xrayReason }
            : what === 'p'
              ? { type: 'partly', askedAt, reason: partlyReason }
              : what === 'off'
                ? { type: 'disabled' }
                : { type: 'started' }
    const decision = decide(state, event, askedAt, policy)
    state = decision.state
    effects.push(...decision.effects.map((effect) => ({ ...effect, known: Number(second) })))
  }
  return { state, effects }
}

/** What a person would see of it, in short. */
function told(effects: (HealthEffect & { known: number })[]): string[] {
  return effects.flatMap((effect) => {
    if (effect.type === 'openIncident') return [`${effect.kind}@${effect.known}`]
    if (effect.type === 'closeIncident' && effect.outcome === 'recovered') return [`up@${effect.known}`]
    return []
  })
}

const online: HealthState = { ...unknownServer, status: 'online', lastProof: s(-30) }
const offline: HealthState = {
  ...online,
  status: 'offline',
  incident: { kind: 'offline', downSince: s(-60) },
}
const error: HealthState = { ...online, status: 'error', incident: { kind: 'error', downSince: s(-60) } }
const partly: HealthState = { ...online, status: 'partly', incident: { kind: 'partly', downSince: s(-60) } }
const offAndOn: HealthState = { ...unknownServer, lastProof: s(-60) }

describe('truth table', () => {
  test.each<[string, HealthState, string, HealthState['status'], string[]]>([
    ['never seen, silent: no outage', unknownServer, 'm@0 m@30 m@60 m@90 m@120', 'pending', []],
    ['never seen, first answer', unknownServer, 'g@0', 'online', []],
    ['never seen, Xray not ready at first', unknownServer, 'x@0 x@5 x@10 g@15', 'online', []],
    ['never seen, Xray never ready', unknownServer, 'x@0 x@5 x@30 x@59 x@60', 'error', ['error@60']],
    ['seen once, dies at once', unknownServer, 'g@0 m@30 m@35 m@40 m@55 m@60', 'offline', ['offline@60']],
    ['good', online, 'g@0 g@30', 'online', []],
    ['one miss', online, 'm@0', 'online', []],
    ['three misses too close', online, 'm@0 m@5 m@10', 'online', []],
    ['long enough, too few', online, 'm@0 m@30', 'online', []],
    ['three misses, a moment too early', online, 'm@0 m@5 m@24.999', 'online', []],
    ['three misses over 25 s', online, 'm@0 m@5 m@25', 'offline', ['offline@25']],
    ['the old answer does not count as silence', online, 'g@0 m@30 m@35 m@40', 'online', []],
    ['an answer between starts anew', online, 'm@0 m@5 g@10 m@15 m@20 m@25', 'online', []],
    ['offline stays offline', offline, 'm@0 m@30 m@60', 'offline', []],
    ['one good answer is not back', offline, 'g@0', 'offline', []],
    ['two good answers are back', offline, 'g@0 g@5', 'online', ['up@5']],
    ['good answers too close', offline, 'g@0 g@1 g@3.999', 'offline', []],
    ['good answers apart at last', offline, 'g@0 g@1 g@4', 'online', ['up@4']],
    ['good answers not in a row', offline, 'g@0 m@5 g@10', 'offline', []],
    ['Xray down once', online, 'x@0 g@5', 'online', []],
    ['Xray down twice', online, 'x@0 x@5', 'error', ['error@5']],
    ['Xray down for a moment, looked at often', online, 'x@0 x@1 x@3.999', 'online', []],
    ['Xray down for longer, looked at often', online, 'x@0 x@1 x@4', 'error', ['error@4']],
    ['Xray down twice, a miss between', online, 'x@0 m@5 x@10', 'error', ['error@10']],
    ['error, then well', error, 'g@0 g@5', 'online', ['up@5']],
    ['error, then silent', error, 'm@0 m@5 m@25', 'offline', ['offline@25']],
    ['error stays error', error, 'x@0 x@30', 'error', []],
    ['error, silent for a moment', error, 'm@0 x@5 m@10 x@15', 'error', []],
    ['offline, then Xray down', offline, 'x@0 x@5', 'error', ['error@5']],
    ['offline, error, well: one recovery', offline, 'x@0 x@5 g@10 g@15', 'online', ['error@5', 'up@15']],
    ['an inbound closed once', online, 'p@0 g@5', 'online', []],
    ['an inbound closed', online, 'p@0 p@5', 'partly', ['partly@5']],
    ['an inbound closed, a miss between', online, 'p@0 m@5 p@10', 'partly', ['partly@10']],
    ['an inbound closed, Xray down between', online, 'p@0 x@3 p@5 p@9', 'partly', ['partly@9']],
    ['an inbound opened again', partly, 'g@0 g@5', 'online', ['up@5']],
    ['an inbound closed, then Xray down', partly, 'x@0 x@5', 'error', ['error@5']],
    ['an inbound closed, then silent', partly, 'm@0 m@5 m@25', 'offline', ['offline@25']],
    ['back without an inbound', offline, 'p@0 p@5', 'partly', ['up@5', 'partly@5']],
    ['running again without an inbound', error, 'p@0 p@5 g@9 g@14', 'online', ['up@5', 'partly@5', 'up@14']],
    ['switched off while down', offline, 'off@0', 'pending', []],
    ['switched off while suspect', online, 'm@0 m@5 off@10 m@25', 'pending', []],
    ['switched on again, well', offAndOn, 'g@0', 'online', []],
    ['switched on again, silent', offAndOn, 'm@0 m@5 m@25', 'offline', ['offline@25']],
    ['grace: silent in it', online, 'start@0 m@0 m@5 m@30 m@59', 'online', []],
    ['grace: silent beyond it', online, 'start@0 m@0 m@5 m@30 m@60', 'offline', ['offline@60']],
    ['grace: back in it', online, 'start@0 m@0 m@5 m@30 g@59 m@60', 'online', []],
    ['grace: Xray down in it', online, 'start@0 x@0 x@5', 'online', []],
    ['grace: Xray down beyond it', online, 'start@0 x@0 x@5 x@60', 'error', ['error@60']],
    ['grace holds back no recovery', offline, 'start@0 g@0 g@5', 'online', ['up@5']],
    ['restart while suspect', online, 'm@0 m@5 start@20 m@20 m@80', 'offline', ['offline@80']],
  ])('%s', (_, from, story, status, messages) => {
    const { state, effects } = play(from, story)
    expect(state.status).toBe(status)
    expect(told(effects)).toEqual(messages)
  })

  test('a clock that is set back delays nothing for long', () => {
    const { state } = play(online, 'm@1000 m@0 m@5 m@25')
    expect(state.status).toBe('offline')
    expect(play({ ...online, graceUntil: s(5_000) }, 'm@0 m@5 m@25').state.status).toBe('offline')
  })
})

test('the recovery counts from the first missed probe to the first good one, over all kinds of trouble', () => {
  const { effects } = play(online, 'x@0 x@5 m@30 m@35 m@60 g@90 g@95')
  expect(effects.filter((effect) => effect.type === 'closeIncident')).toEqual([
    { type: 'closeIncident', outcome: 'superseded', downSince: s(0), at: s(30), known: 60 },
    { type: 'closeIncident', outcome: 'recovered', downSince: s(0), at: s(90), known: 95 },
  ])
  expect(effects.find((effect) => effect.type === 'openIncident' && effect.kind === 'offline')).toMatchObject(
    { reason, since: s(30), downSince: s(0) },
  )
})

test('a server that runs in part was not away for that time', () => {
  const { effects } = play(partly, 'm@0 m@5 m@30 g@90 g@95')
  expect(effects.filter((effect) => effect.type === 'openIncident')).toMatchObject([{ downSince: s(0) }])
  expect(effects.filter((effect) => effect.type === 'closeIncident')).toMatchObject([
    { outcome: 'superseded', at: s(0) },
    { outcome: 'recovered', downSince: s(0), at: s(90) },
  ])
})

describe('re-probes', () => {
  const reprobeAfter = (state: HealthState, event: HealthEvent, now: number): number | undefined =>
    decide(state, event, now, policy).effects.find((effect) => effect.type === 'reprobe')?.at

  test('a suspect is looked at again 5 s after the last probe was sent, at once when that took longer', () => {
    expect(reprobeAfter(online, { type: 'missed', askedAt: s(0), reason }, s(0))).toBe(s(5))
    expect(reprobeAfter(online, { type: 'missed', askedAt: s(0), reason }, s(10))).toBe(s(10))
    expect(reprobeAfter(online, { type: 'xrayDown', askedAt: s(0), reason: xrayReason }, s(0))).toBe(s(5))
    expect(reprobeAfter(offline, { type: 'answered', askedAt: s(0) }, s(0))).toBe(s(5))
  })

  test('what is as it was needs no other look before the next sweep', () => {
    expect(reprobeAfter(online, { type: 'answered', askedAt: s(0) }, s(0))).toBeUndefined()
    expect(reprobeAfter(offline, { type: 'missed', askedAt: s(0), reason }, s(0))).toBeUndefined()
    expect(reprobeAfter(unknownServer, { type: 'missed', askedAt: s(0), reason }, s(0))).toBeUndefined()
  })

  test('a suspect is looked at during the grace too', () => {
    const { state } = play(online, 'start@0 m@0 m@5')
    expect(reprobeAfter(state, { type: 'missed', askedAt: s(25), reason }, s(25))).toBe(s(30))
  })
})

/** A world in which the server is up, dead, or without Xray for stretches of time; probes as the monitor sends them. */
interface Stretch {
  is: 'up' | 'dead' | 'xrayDown'
  seconds: number
}

const stretch: fc.Arbitrary<Stretch> = fc.record({
  is: fc.constantFrom('up', 'dead', 'xrayDown' as const),
  seconds: fc.integer({ min: 1, max: 120 }),
})

/** The controller is away from a second on, for so many seconds. */
type Absence = [from: number, seconds: number]

function live(world: Stretch[], absences: Absence[]): { effects: HealthEffect[]; states: HealthState[] } {
  const end = world.reduce((sum, { seconds }) => sum + seconds, 0)
  const at = (second: number): Stretch['is'] => {
    let left = second
    for (const { is, seconds } of world) {
      if (left < seconds) return is
      left -= seconds
    }
    return 'up'
  }
  let state = unknownServer
  const effects: HealthEffect[] = []
  const states: HealthState[] = []
  let nextSweep = 0
  let reprobe = Infinity
  const isAway = (second: number): boolean =>
    absences.some(([from, seconds]) => second >= from && second < from + seconds)
  const take = (event: HealthEvent, now: number): void => {
    const decision = decide(state, event, now, policy)
    // What a restart would find is all that goes on.
    state = parseHealthState(JSON.parse(JSON.stringify(decision.state))) ?? unknownServer
    effects.push(...decision.effects)
    states.push(state)
    reprobe = decision.effects.find((effect) => effect.type === 'reprobe')?.at ?? Infinity
  }
  for (let second = 0; second <= end; second++) {
    const now = s(second)
    if (isAway(second)) continue
    if (second > 0 && isAway(second - 1)) {
      take({ type: 'started' }, now)
      nextSweep = second
    }
    if (second < nextSweep && now < reprobe) continue
    if (second >= nextSweep) nextSweep = second + 30
    const is = at(second)
    if (is === 'up') take({ type: 'answered', askedAt: now }, now)
    else if (is === 'dead') take({ type: 'missed', askedAt: now, reason }, now)
    else take({ type: 'xrayDown', askedAt: now, reason: xrayReason }, now)
  }
  return { effects, states }
}

const restarts = fc.array(fc.tuple(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 300 })), {
  maxLength: 5,
})

describe('whatever happens', () => {
  test('no outage under 25 s is told, and every one of 90 s is', () => {
    const outage = fc.integer({ min: 1, max: 24 })
    // Long enough between two that a probe can fall into it: else it is one outage for anybody who looks from here.
    const pause = fc.integer({ min: 6, max: 200 })
    fc.assert(
      fc.property(fc.array(fc.tuple(pause, outage), { maxLength: 20 }), restarts, (pairs, again) => {
        const world = pairs.flatMap(([up, dead]): Stretch[] => [
          { is: 'up', seconds: up },
          { is: 'dead', seconds: dead },
        ])
        expect(live(world, again).effects.filter((effect) => effect.type === 'openIncident')).toEqual([])
      }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 61, max: 300 }), (up) => {
        const { effects } = live(
          [
            { is: 'up', seconds: up },
            { is: 'dead', seconds: 90 },
          ],
          [],
        )
        expect(effects.filter((effect) => effect.type === 'openIncident')).toHaveLength(1)
      }),
    )
  })

  test('incidents open and close in turn, and what was told last is how it is', () => {
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 25 }), restarts, (world, again) => {
        const { effects, states } = live(world, again)
        let open: string | null = null
        let last = 'online'
        for (const effect of effects) {
          if (effect.type === 'openIncident') {
            expect(open).toBeNull()
            open = effect.kind
            last = effect.kind
          } else if (effect.type === 'closeIncident') {
            expect(open).not.toBeNull()
            open = null
            if (effect.outcome === 'recovered') last = 'online'
          }
        }
        const state = states.at(-1) ?? unknownServer
        expect(state.incident?.kind ?? null).toBe(open)
        if (state.status !== 'pending') expect(state.status).toBe(last)
      }),
    )
  })

  test('transitions join up, and time does not run backwards in them', () => {
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 25 }), restarts, (world, again) => {
        let status: string = 'pending'
        let at = 0
        for (const effect of live(world, again).effects) {
          if (effect.type !== 'transition') continue
          expect(effect.from).toBe(status)
          expect(effect.at).toBeGreaterThanOrEqual(at)
          status = effect.to
          at = effect.at
        }
      }),
    )
  })

  test('once the world is quiet the verdict is right within two minutes', () => {
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 15 }), stretch, (world, quiet) => {
        const { states } = live([{ is: 'up', seconds: 1 }, ...world, { is: quiet.is, seconds: 120 }], [])
        const expected = { up: 'online', dead: 'offline', xrayDown: 'error' }[quiet.is]
        expect(states.at(-1)?.status).toBe(expected)
      }),
    )
  })
})
