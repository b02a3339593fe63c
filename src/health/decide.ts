import type { CodedError } from '#src/errors.ts'
import type { IncidentKind } from '#src/store/schema.ts'
import type { HealthPolicy } from './policy.ts'
import type { HealthState, Streak } from './state.ts'

/** The outcome of a probe that was sent at `askedAt` (ms), or something that befell the server's row. */
export type HealthEvent =
  | { type: 'answered'; askedAt: number }
  /** It answered, but its Xray is down. */
  | { type: 'xrayDown'; askedAt: number; reason: CodedError }
  /** Its Xray runs, but not as it should: an inbound is closed, say. */
  | { type: 'partly'; askedAt: number; reason: CodedError }
  | { type: 'missed'; askedAt: number; reason: CodedError }
  /** It was switched off: nothing about it is anybody's trouble any more. */
  | { type: 'disabled' }
  /** The controller has started and begins to look. */
  | { type: 'started' }

type Status = HealthState['status']
type Verdict = Exclude<Status, 'pending'>

/** What must happen along with the new state, in the same transaction where it is stored. */
export type HealthEffect =
  | { type: 'transition'; from: Status; to: Status; reason: CodedError | null; at: number }
  /** since: of this kind of trouble; downSince: of all trouble without a good moment in between. */
  | {
      type: 'openIncident'
      kind: IncidentKind
      reason: CodedError
      since: number
      downSince: number
    }
  /**
   * recovered: tell it. superseded: the next incident tells it. dropped: tell nothing, and take back what
   * has not been said yet.
   */
  | {
      type: 'closeIncident'
      outcome: 'recovered' | 'superseded' | 'dropped'
      downSince: number
      at: number
    }
  | { type: 'reprobe'; at: number }

export interface Decision {
  state: HealthState
  effects: HealthEffect[]
}

/**
 * What a server's health is after an event. Pure: the same input always gives the same answer.
 *
 * | evidence in a row | from | to | told |
 * |---|---|---|---|
 * | 1 good | pending | online | no |
 * | 2 good, 4 s apart | offline, error, partly | online | yes |
 * | 3 misses over 25 s | online, error, partly; pending once it was seen | offline | yes |
 * | 2 "Xray is down", 4 s apart, misses between do not count | any other | error | yes |
 * | 2 "Xray runs in part", as these | any other | partly | yes, and that it is back |
 *
 * `now` (ms) is when the outcome is known. Nothing is called down during the grace, but evidence is gathered,
 * so a server that died while the controller restarted is reported as soon as the grace is over.
 */
export function decide(state: HealthState, event: HealthEvent, now: number, policy: HealthPolicy): Decision {
  switch (event.type) {
    case 'started':
      return { state: { ...state, graceUntil: now + policy.startupGraceMs }, effects: [] }
    case 'disabled':
      return leave(state, now)
    default:
      return judge(state, event, now, policy)
  }
}

type ProbeEvent = Exclude<HealthEvent, { type: 'disabled' | 'started' }>

const speaksFor = { answered: 'online', xrayDown: 'error', missed: 'offline', partly: 'partly' } as const

function judge(state: HealthState, event: ProbeEvent, now: number, policy: HealthPolicy): Decision {
  const answered = event.type !== 'missed'
  // Never seen: not joined yet, or still being installed. That is no outage.
  if (!answered && state.lastProof === null) return { state, effects: [] }

  const verdict = speaksFor[event.type]
  const streaks = nextStreaks(state, event, verdict)
  const next: HealthState = {
    ...state,
    streaks,
    lastProof: answered ? now : state.lastProof,
    // A newcomer's Xray may have to be fetched first.
    graceUntil: state.lastProof === null ? now + policy.startupGraceMs : state.graceUntil,
  }

  const streak = streaks[verdict]
  const confirmed = streak !== undefined && isConfirmed(state.status, verdict, streak, event.askedAt, policy)
  if (confirmed && (verdict === 'online' || !inGrace(next, now, policy))) {
    return move(next, event, streak.since)
  }
  const suspect = Object.values(streaks).some((each) => each !== undefined)
  const at = Math.max(now, event.askedAt + policy.reprobeEveryMs)
  return { state: next, effects: suspect ? [{ type: 'reprobe', at }] : [] }
}

/** Counts this outcome; an outcome ends the streaks it contradicts. What agrees with the status is no evidence. */
function nextStreaks(state: HealthState, event: ProbeEvent, verdict: Verdict): HealthState['streaks'] {
  const kept: HealthState['streaks'] = {}
  const { error, partly } = state.streaks
  // A miss says nothing about Xray: answers that something is wrong with it are in a row with misses between them.
  if (verdict === 'offline' && error !== undefined) kept.error = error
  if (verdict === 'offline' && partly !== undefined) kept.partly = partly
  if (verdict === state.status) return kept
  const before = state.streaks[verdict]
  kept[verdict] = {
    count: (before?.count ?? 0) + 1,
    // The clock may have been set back since.
    since: Math.min(before?.since ?? event.askedAt, event.askedAt),
  }
  return kept
}

function isConfirmed(
  status: Status,
  verdict: Verdict,
  streak: Streak,
  askedAt: number,
  policy: HealthPolicy,
): boolean {
  const spanMs = askedAt - streak.since
  const isApart = spanMs >= policy.answersApartMs
  switch (verdict) {
    case 'online':
      return status === 'pending' || (streak.count >= policy.onlineAnswers && isApart)
    case 'error':
    case 'partly':
      return streak.count >= policy.errorAnswers && isApart
    case 'offline':
      return streak.count >= policy.offlineMisses && spanMs >= policy.offlineAfterMs
  }
}

function inGrace(state: HealthState, now: number, policy: HealthPolicy): boolean {
  // A grace that ends later than one could start now was given before the clock was set back.
  return now < state.graceUntil && state.graceUntil - now <= policy.startupGraceMs
}

/** Confirms what the event says. `since`: when the first of its kind was asked for, ms. */
function move(state: HealthState, event: ProbeEvent, since: number): Decision {
  const to = speaksFor[event.type]
  const reason = event.type === 'answered' ? null : event.reason
  const effects: HealthEffect[] = [{ type: 'transition', from: state.status, to, reason, at: since }]
  const { incident } = state
  if (incident !== null) {
    // What runs in part is back.
    const isBack = to === 'online' || (to === 'partly' && incident.kind !== 'partly')
    const outcome = isBack ? 'recovered' : 'superseded'
    effects.push({ type: 'closeIncident', outcome, downSince: incident.downSince, at: since })
  }
  const settled: HealthState = { ...state, status: to, streaks: {}, incident: null }
  if (event.type === 'answered') return { state: settled, effects }
  const kind = speaksFor[event.type]
  // Nor was it away while it ran in part.
  const isOneOutage = incident !== null && incident.kind !== 'partly' && kind !== 'partly'
  const downSince = isOneOutage ? incident.downSince : since
  effects.push({ type: 'openIncident', kind, reason: event.reason, since, downSince })
  return { state: { ...settled, incident: { kind, downSince } }, effects }
}

function leave(state: HealthState, now: number): Decision {
  const effects: HealthEffect[] = []
  if (state.status !== 'pending') {
    effects.push({ type: 'transition', from: state.status, to: 'pending', reason: null, at: now })
  }
  if (state.incident !== null) {
    const { downSince } = state.incident
    effects.push({ type: 'closeIncident', outcome: 'dropped', downSince, at: now })
  }
  // That it was seen once is kept: switched on again and silent, it is an outage.
  return { state: { ...state, status: 'pending', streaks: {}, incident: null }, effects }
}
