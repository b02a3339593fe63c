import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Happening } from '#src/contract/index.ts'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { createEvents } from './events.ts'
import type { EventStore } from './kept-events.ts'

const DAY = 24 * 60 * 60 * 1000

const near = (n: number): Happening => ({ type: 'limitNear', email: String(n), limit: 'traffic', left: n })
const other = (n: number): Happening => ({ type: 'restored', email: String(n) })

function memoryStore(): EventStore & { text: string | null } {
  const store = {
    text: null as string | null,
    keptEvents: () => store.text,
    setKeptEvents: (text: string) => void (store.text = text),
  }
  return store
}

/** A node that tells, over a store that outlives it. */
function setup() {
  const runtime = createFakeRuntime({ now: 1_000 })
  const store = memoryStore()
  let run = 0
  const position = () => ({ epoch: `run-${run}`, changeSeq: 0, trafficSeq: 0 })
  const begin = () => {
    const xray = () => ({ running: true, lastError: null })
    const next = createEvents({ runtime, position, xray, settings: store })
    next.begin(`run-${++run}`)
    return next
  }
  return { runtime, store, begin }
}

test('whatever begins anew whenever: a reader that comes back hears once of each limit that was near', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant('near' as const) },
    { weight: 2, arbitrary: fc.constant('other' as const) },
    { weight: 5, arbitrary: fc.constant('read' as const) },
    { weight: 2, arbitrary: fc.constant('cut' as const) },
    { weight: 2, arbitrary: fc.constant('restart' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { begin } = setup()
      let events = begin()
      let stream = events.read(undefined)
      let at: { epoch: string; seq: number } | undefined
      const heard: number[] = []
      let told = 0
      const readOne = async (): Promise<string> => {
        const { value, done } = await stream.next()
        if (done === true) throw new Error('ended')
        // What stands before the place it has is not for it.
        if (value.type !== 'gap' && at?.epoch === value.epoch)
          expect(value.seq).toBeGreaterThanOrEqual(at.seq)
        at = { epoch: value.epoch, seq: value.seq }
        if (value.type === 'limitNear') heard.push(Number(value.email))
        return value.type
      }
      const comeBack = async (): Promise<void> => {
        await stream.return()
        stream = events.read(at)
      }
      await readOne()
      for (const what of steps) {
        if (what === 'near') events.publish(near(++told))
        if (what === 'other') events.publish(other(told))
        if (what === 'read' && heard.length < told) await readOne()
        if (what === 'cut') await comeBack()
        if (what === 'restart') {
          // As it stands in the file a moment later.
          await Promise.resolve()
          events.close()
          events = begin()
          if (told % 2 === 0) await comeBack()
          else stream = events.read(at)
        }
      }
      await comeBack()
      while ((await readOne()) !== 'beat');
      expect(heard).toEqual(Array.from({ length: told }, (_, index) => index + 1))
      events.close()
    }),
    { numRuns: 500 },
  )
})

test('of those of a week the latest two hundred are told again, as of when they were, and nothing else', async () => {
  const { runtime, begin, store } = setup()
  const first = begin()
  first.publish(near(0))
  runtime.skip(5 * DAY)
  for (let n = 1; n <= 250; n++) first.publish(near(n))
  first.publish(other(1))
  await Promise.resolve()
  runtime.skip(DAY)
  const read = async (): Promise<unknown[]> => {
    const events = begin()
    const stream = events.read({ epoch: 'run-1', seq: 1 })
    const told: unknown[] = []
    for (;;) {
      const { value, done } = await stream.next()
      if (done === true || value.type === 'beat') return told
      if (value.type !== 'gap') told.push([value.type, value.time])
    }
  }
  expect(await read()).toEqual(Array.from({ length: 200 }, () => ['limitNear', 1_000 + 5 * DAY]))
  expect(store.text?.length).toBeLessThan(64 * 1024)
  runtime.skip(7 * DAY)
  expect(await read()).toEqual([])
})

test('one that comes for the first time hears of what happens from then on', async () => {
  const { begin } = setup()
  begin().publish(near(1))
  await Promise.resolve()
  const { value } = await begin().read(undefined).next()
  expect(value).toMatchObject({ type: 'beat', epoch: 'run-2' })
})

test('where the file takes nothing, what happens is told all the same', async () => {
  const runtime = createFakeRuntime({ now: 1_000 })
  const events = createEvents({
    runtime,
    position: () => ({ epoch: 'run-1', changeSeq: 0, trafficSeq: 0 }),
    xray: () => ({ running: true, lastError: null }),
    settings: {
      keptEvents: () => null,
      setKeptEvents: () => {
        throw new Error('database or disk is full')
      },
    },
  })
  events.begin('run-1')
  const stream = events.read(undefined)
  await stream.next()
  events.publish(near(1))
  expect((await stream.next()).value).toMatchObject({ type: 'limitNear' })
})
