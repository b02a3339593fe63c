import { describe, expect, test } from 'vitest'
import { FleetError } from '#src/errors.ts'
import { backoff, decideFailure, disabledFor, expired, expiryOf, heldBy, isAway, nextStep } from './retry.ts'

const queued = { whenOffline: { queue: 1_000_000 }, timeout: 30_000 } as const
const refused = { whenOffline: 'refuse', timeout: 30_000 } as const
const failure = (code: 'SERVER_UNREACHABLE' | 'XRAY_UNAVAILABLE' | 'INTERNAL' | 'PORT_TAKEN', attempts = 1) =>
  decideFailure({
    operation: 'inbounds.add',
    whenOffline: queued.whenOffline,
    error: new FleetError(code),
    attempts,
    now: 100,
  })

test('back-off grows to a minute and stays there', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 99].map(backoff)).toEqual([
    1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 60_000, 60_000,
  ])
})

test('what waits for a server expires with the wish for it, what does not with the answer', () => {
  expect(expiryOf(queued, 5)).toBe(1_000_005)
  expect(expiryOf(refused, 5)).toBe(30_005)
})

describe('what a failed attempt comes to', () => {
  test('what may pass is tried again later', () => {
    expect(failure('SERVER_UNREACHABLE', 2)).toMatchObject({ status: 'pending', nextAttemptAt: 2_100 })
    expect(failure('XRAY_UNAVAILABLE', 50)).toMatchObject({ status: 'pending', nextAttemptAt: 60_100 })
  })

  test('a refusal is final, an unknown fault after three attempts', () => {
    expect(failure('PORT_TAKEN').status).toBe('failed')
    expect([1, 2, 3].map((attempts) => failure('INTERNAL', attempts).status)).toEqual([
      'pending',
      'pending',
      'failed',
    ])
  })

  describe('of what is for this moment only', () => {
    const outcome = (error: FleetError, attempts = 1) =>
      decideFailure({ operation: 'xray.restart', ...refused, error, attempts, now: 0 }).status
    const away = (details: object) => new FleetError('SERVER_UNREACHABLE', { reason: 'cut', ...details })

    test('a server that was never reached is the end of it', () => {
      expect(outcome(away({}))).toBe('failed')
    })
    test('an answer that was lost is asked for again, also of a server that is away meanwhile', () => {
      expect(outcome(away({ sent: true }))).toBe('pending')
      expect(outcome(new FleetError('SERVER_TIMEOUT', { seconds: 30 }))).toBe('pending')
      expect(outcome(away({}), 2)).toBe('pending')
    })
    test('an answer is the end of it', () => {
      expect(outcome(new FleetError('XRAY_REFUSED', { reason: 'bad' }), 2)).toBe('failed')
    })
    test('a moment that is over says what is known', () => {
      expect(expired({ attempts: 1 }, refused)).toMatchObject({
        status: 'failed',
        error: { code: 'OUTCOME_UNKNOWN' },
      })
      expect(expired({ attempts: 0 }, refused).status).toBe('expired')
    })
  })

  test('only what was to be deleted may be missing', () => {
    const missing = (operation: string) =>
      decideFailure({
        operation,
        ...queued,
        error: new FleetError('CLIENT_NOT_FOUND', { email: 'x' }),
        attempts: 1,
        now: 0,
      }).status
    expect(missing('clients.delete')).toBe('unchanged')
    expect(missing('clients.update')).toBe('failed')
  })
})

describe('the next step with the oldest task', () => {
  const task = { nextAttemptAt: 50, expiresAt: 100 }
  const step = (now: number, kicked = false, held = false) => nextStep({ task, held, kicked, now })

  test('waits for its time, unless the server was heard of', () => {
    expect(step(10)).toEqual({ do: 'wait', until: 50 })
    expect(step(10, true)).toEqual({ do: 'send' })
    expect(step(50)).toEqual({ do: 'send' })
  })

  test('is never sent while the server is held, and never after it expired', () => {
    expect(step(60, true, true)).toEqual({ do: 'wait', until: 100 })
    expect(step(100, true)).toEqual({ do: 'expire' })
    expect(step(100, true, true)).toEqual({ do: 'expire' })
  })
})

test('how long a server was disabled', () => {
  const [off, on] = [
    { enabled: false, at: 200 },
    { enabled: true, at: 250 },
  ]
  expect(disabledFor([], 100)).toBe(0)
  expect(disabledFor([off, on], 100)).toBe(50)
  // Disabled already when the change was asked for.
  expect(disabledFor([{ enabled: true, at: 130 }, off, on], 100)).toBe(80)
})

test('who can be reached', () => {
  const agent = { kind: 'agent', enabled: true, status: 'online', endpoint: 'https://a' }
  expect(heldBy(agent)).toBeUndefined()
  expect(heldBy({ ...agent, enabled: false })).toBe('SERVER_DISABLED')
  expect(heldBy({ ...agent, status: 'pending', endpoint: null })).toBe('SERVER_NOT_JOINED')
  expect(heldBy({ ...agent, kind: 'local', status: 'pending', endpoint: null })).toBeUndefined()
  expect(isAway({ ...agent, status: 'offline' })).toBe(true)
  expect(isAway({ ...agent, status: 'error' })).toBe(false)
  // This machine is never away from itself.
  expect(isAway({ ...agent, kind: 'local', status: 'offline' })).toBe(false)
})
