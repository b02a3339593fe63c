import { describe, expect, test } from 'vitest'
import type { Health } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { probe, type ProbeResult, type ProbeTarget } from './probe.ts'

const well: Health = {
  status: 'online',
  xrayRunning: true,
  agentVersion: '0.1.0',
  xrayVersion: '26.1.1',
  lastError: null,
  epoch: 'e',
  changeSeq: 1,
  trafficSeq: 1,
  time: 0,
}

const target = (health: ProbeTarget['server']['health']): ProbeTarget => ({
  server: { health, info: () => Promise.reject(new Error('not asked for')) },
})

/** Probes with 4 s of patience and lets 5 s go by. */
async function outcome(connect: () => ProbeTarget): Promise<ProbeResult> {
  const runtime = createFakeRuntime({ now: 1_000 })
  const result = probe(connect, 4_000, runtime, new AbortController().signal)
  await runtime.advance(5_000)
  expect(runtime.sleeping()).toBe(0)
  return result
}

describe('what a probe comes to', () => {
  test('well', async () => {
    const result = await outcome(() => target(() => Promise.resolve(well)))
    expect(result).toEqual({ type: 'answered', askedAt: 1_000, health: well })
  })

  test.each<[string, Partial<Health>, object]>([
    [
      'Xray is down',
      { status: 'error', xrayRunning: false, lastError: 'killed' },
      { code: 'XRAY_UNAVAILABLE', details: { reason: 'killed' } },
    ],
    ['Xray is down, whatever else is said', { xrayRunning: false }, { code: 'XRAY_UNAVAILABLE' }],
    [
      'refused',
      { status: 'error', xrayRunning: false, lastError: 'bad port' },
      { code: 'XRAY_UNAVAILABLE', details: { reason: 'bad port' } },
    ],
  ])('%s', async (_, change, reason) => {
    const result = await outcome(() => target(() => Promise.resolve({ ...well, ...change })))
    expect(result).toMatchObject({ type: 'xrayDown', reason })
  })

  test('Xray runs, but without an inbound', async () => {
    const lastError = 'the inbound main is closed: port 443 cannot be had'
    const result = await outcome(() => target(() => Promise.resolve({ ...well, status: 'error', lastError })))
    const reason = { code: 'XRAY_PARTLY', details: { reason: lastError } }
    expect(result).toMatchObject({ type: 'partly', reason })
  })

  test.each([
    ['says of its Xray', () => Promise.resolve({ ...well, xrayRunning: false, lastError: 'x'.repeat(1e6) })],
    ['refuses with', () => Promise.reject(new FleetError('SERVER_REFUSED', { reason: 'x'.repeat(1e6) }))],
  ])('what a server %s is cut to what a person reads', async (_, health) => {
    const result = await outcome(() => target(health))
    const reason = 'reason' in result ? String(result.reason.details['reason']) : ''
    expect(reason).toMatch(/^x{500,}…$/)
    expect(reason.length).toBeLessThanOrEqual(1_000)
  })

  test('no connector to be had', async () => {
    const result = await outcome(() => {
      throw new FleetError('SERVER_NOT_JOINED')
    })
    expect(result).toMatchObject({ type: 'missed', reason: { code: 'SERVER_NOT_JOINED' } })
  })

  test('silence, from a call that does not heed its signal but is told', async () => {
    let signal: AbortSignal | undefined
    const result = await outcome(() =>
      target((_, options) => {
        signal = options?.signal
        return new Promise(() => undefined)
      }),
    )
    expect(result).toMatchObject({ reason: { code: 'SERVER_TIMEOUT', details: { seconds: 4 } } })
    expect(signal?.aborted).toBe(true)
  })

  test('what nobody foresaw has a trace to look for, and its cause for the log alone', async () => {
    const bug = new TypeError('x is not a function')
    const result = await outcome(() => target(() => Promise.reject(bug)))
    expect(result).toMatchObject({ type: 'missed', reason: { code: 'INTERNAL' }, cause: bug })
    expect(JSON.stringify(result.type === 'missed' ? result.reason : '')).not.toContain('function')
  })
})
