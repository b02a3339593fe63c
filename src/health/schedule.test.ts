import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { cronSchedule } from './schedule.ts'

test('runs again and again, never beside itself, survives a failure, and ends when told', async () => {
  const errors: unknown[] = []
  let runs = 0
  let running = 0
  let most = 0
  const job = cronSchedule((error) => errors.push(error))(1_000, async () => {
    most = Math.max(most, ++running)
    await sleep(runs++ === 0 ? 1_500 : 0)
    running--
    if (runs === 1) throw new Error('once')
  })
  await vi.waitFor(() => expect(runs).toBeGreaterThanOrEqual(3), { timeout: 20_000 })
  job.stop()
  expect(most).toBe(1)
  expect(errors).toHaveLength(1)
  const after = runs
  await sleep(1_200)
  expect(runs).toBe(after)
})
