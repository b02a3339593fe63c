import { expect, test } from 'vitest'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { createTicking } from './ticking.ts'

test('a step that is seldom needed has its turn as often as it says', async () => {
  const runtime = createFakeRuntime({ now: 0 })
  const begun: number[] = []
  const ticking = createTicking({
    runtime,
    log: silentLog(),
    intervalMs: 10_000,
    steps: [['seldom', () => void begun.push(runtime.now()), 25_000]],
  })
  ticking.start()
  await runtime.advance(95_000)
  expect(begun).toEqual([30_000, 60_000, 90_000])
  await ticking.stop()
})

test('steps begin so often, however long they take; one that fails keeps no other from its turn', async () => {
  const runtime = createFakeRuntime({ now: 0 })
  const begun: number[] = []
  let takes = 6_000
  const ticking = createTicking({
    runtime,
    log: silentLog(),
    intervalMs: 10_000,
    steps: [
      ['fails', () => Promise.reject(new Error('no'))],
      [
        'takes a while',
        async () => {
          begun.push(runtime.now())
          await runtime.sleep(takes)
        },
      ],
    ],
  })
  ticking.start()
  await runtime.advance(35_000)
  expect(begun).toEqual([10_000, 20_000, 30_000])
  takes = 30_000
  await runtime.advance(41_000)
  // Longer than that: again soon after.
  expect(begun.slice(3)).toEqual([40_000, 71_000])
  const stopped = ticking.stop()
  await runtime.advance(30_000)
  await stopped
  expect(runtime.sleeping()).toBe(0)
})
