import { expect, test } from 'vitest'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { keepHouse } from './housekeeping.ts'

test('what cannot be removed now is tried again in an hour, and holds up nothing else', async () => {
  const runtime = createFakeRuntime({ now: 0 })
  const done: string[] = []
  const log: unknown[] = []
  const stop = new AbortController()
  let isBroken = true
  const house = keepHouse({
    inbox: {
      prune: () => {
        if (isBroken) throw new Error('database is locked')
        done.push('inbox')
      },
    },
    drafts: { prune: () => void done.push('drafts') },
    taps: { prune: () => void done.push('taps') },
    runtime,
    log: { error: (fields) => void log.push(fields) },
    signal: stop.signal,
  })
  await runtime.advance(0)
  expect(done).toEqual(['drafts', 'taps'])
  expect(JSON.stringify(log)).toContain('database is locked')
  isBroken = false
  await runtime.advance(60 * 60 * 1000)
  expect(done).toEqual(['drafts', 'taps', 'inbox', 'drafts', 'taps'])
  stop.abort(new Error('stopped'))
  await expect(house).rejects.toThrow('stopped')
})
