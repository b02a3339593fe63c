import { afterEach, beforeEach, expect, test } from 'vitest'
import { createHealthDesk, type HealthDesk } from '#test/support/health-desk.ts'

let desk: HealthDesk
beforeEach(async () => {
  desk = createHealthDesk()
  desk.fleet.add(1)
  desk.boot()
  await desk.runtime.advance(300_000)
  expect(status()).toBe('online')
})
afterEach(() => desk.close())

const status = (): string | undefined => desk.fleet.rows.get(1)?.status

test('Xray without one of its inbounds: told without a sound, in its own words, and so is its end', async () => {
  desk.fleet.moods.set(1, 'partly')
  await desk.runtime.advance(36_000)
  expect(desk.facts).toMatchObject([
    {
      kind: 'serverDown',
      silent: true,
      payload: { state: 'partly', reason: { code: 'XRAY_PARTLY', details: { reason: 'main is closed' } } },
    },
  ])
  expect(status()).toBe('partly')
  expect(desk.fleet.rows.get(1)).toMatchObject({
    lastError: expect.stringContaining('main is closed') as string,
    problem: { code: 'XRAY_PARTLY', details: { reason: 'main is closed' } },
  })
  desk.fleet.moods.set(1, 'up')
  await desk.runtime.advance(36_000)
  expect(desk.facts[1]).toMatchObject({ kind: 'serverUp', silent: true, payload: { state: 'partly' } })
  expect(desk.fleet.rows.get(1)).toMatchObject({ status: 'online', lastError: null, problem: null })
  // Killed, it comes back without an inbound: it is back, and what is missing is told beside.
  desk.fleet.moods.set(1, 'xrayDown')
  await desk.runtime.advance(36_000)
  desk.fleet.moods.set(1, 'partly')
  await desk.runtime.advance(36_000)
  expect(desk.facts.slice(2)).toMatchObject([
    { kind: 'serverDown', silent: false, payload: { state: 'error' } },
    { kind: 'serverUp', payload: { state: 'error' } },
    { kind: 'serverDown', silent: true, payload: { state: 'partly' } },
  ])
  expect(desk.openIncidents()).toBe(1)
})
