import { expect, test } from 'vitest'
import { createRateLimit } from './rate-limit.ts'

test('a key has so many attempts per window, each key its own', () => {
  let now = 0
  const mayTry = createRateLimit({ limit: 2, windowMs: 1_000, maxKeys: 10, now: () => now })
  expect([mayTry('a'), mayTry('a'), mayTry('a'), mayTry('b')]).toEqual([true, true, false, true])
  now = 999
  expect(mayTry('a')).toBe(false)
  now = 1_000
  expect(mayTry('a')).toBe(true)
})

test('made-up keys push out the oldest, not the memory', () => {
  const mayTry = createRateLimit({ limit: 1, windowMs: 1_000, maxKeys: 2, now: () => 0 })
  expect([mayTry('a'), mayTry('b'), mayTry('b')]).toEqual([true, true, false])
  mayTry('c')
  // 'a' was forgotten, 'b' was not.
  expect([mayTry('b'), mayTry('a')]).toEqual([false, true])
})
