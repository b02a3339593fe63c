import { getEventMeta } from '@orpc/client'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Happening, type NodeEvent, eventId } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import { createFakeRuntime, type FakeRuntime } from '#test/support/fake-runtime.ts'
import { createEvents, type Events, placeOf } from './events.ts'

let runtime: FakeRuntime
let position: { epoch: string; changeSeq: number; trafficSeq: number }
let xray: { running: boolean; lastError: string | null }
let events: Events

const KEPT = 5

function begin(epoch = 'run-1'): Events {
  events = createEvents({ runtime, position: () => ({ ...position }), xray: () => xray, kept: KEPT })
  events.begin(epoch)
  return events
}

beforeEach(() => {
  runtime = createFakeRuntime({ now: 1_000 })
  position = { epoch: 'run-1', changeSeq: 1, trafficSeq: 1 }
  xray = { running: true, lastError: null }
  begin()
})
afterEach(() => events.close())

const about = (email: string): Happening => ({ type: 'restored', email })
const short = (event: NodeEvent): string =>
  `${event.type}${event.type === 'restored' ? ` ${event.email}` : ''} ${event.seq}`

type Stream = ReturnType<Events['read']>

/** The next `count` events, which are there already. */
async function take(stream: Stream, count: number): Promise<string[]> {
  const seen: string[] = []
  for (let n = 0; n < count; n++) {
    const { done, value } = await stream.next()
    seen.push(done === true ? 'end' : short(value))
  }
  return seen
}

/** Whatever comes while a stream is left alone. */
function follow(stream: Stream): NodeEvent[] {
  const seen: NodeEvent[] = []
  const run = async (): Promise<void> => {
    for await (const event of stream) seen.push(event)
  }
  run().catch(() => undefined)
  return seen
}

describe('a reader', () => {
  test('begins with how things are, and is told what happens from then on', async () => {
    events.publish(about('before'))
    const stream = events.read(undefined)
    const { value } = await stream.next()
    expect(value).toEqual({
      type: 'beat',
      epoch: 'run-1',
      seq: 1,
      time: 1_000,
      position: { epoch: 'run-1', changeSeq: 1, trafficSeq: 1 },
      xray: { running: true, lastError: null },
    })
    expect(getEventMeta(value)).toMatchObject({ id: 'run-1:1', retry: 1_000 })
    events.publish(about('anna'))
    events.publish(about('bert'))
    expect(await take(stream, 2)).toEqual(['restored anna 2', 'restored bert 3'])
  })

  test('that was cut off goes on after the last it has seen', async () => {
    for (const email of ['a', 'b', 'c']) events.publish(about(email))
    const stream = events.read({ epoch: 'run-1', seq: 1 })
    expect(await take(stream, 3)).toEqual(['restored b 2', 'restored c 3', 'beat 3'])
  })

  test('of another run is told of the gap first, and then all that is known of this one', async () => {
    for (const email of ['1', '2', '3', '4', '5', '6', '7']) events.publish(about(email))
    const stream = events.read({ epoch: 'run-0', seq: 6 })
    expect(await take(stream, 3)).toEqual(['gap 2', 'restored 3 3', 'restored 4 4'])
    expect(await take(stream, 4)).toEqual(['restored 5 5', 'restored 6 6', 'restored 7 7', 'beat 7'])
  })

  test.each([
    ['that is older than what is kept', { epoch: 'run-1', seq: 6 - KEPT }],
    ['ahead of us', { epoch: 'run-1', seq: 8 }],
  ])('%s is told of the gap first, and then goes on', async (_, from) => {
    for (const email of ['1', '2', '3', '4', '5', '6', '7']) events.publish(about(email))
    const stream = events.read(from)
    expect(await take(stream, 2)).toEqual(['gap 7', 'beat 7'])
    events.publish(about('8'))
    expect(await take(stream, 1)).toEqual(['restored 8 8'])
  })

  test('that is slow costs no memory, and is told of the gap', async () => {
    const stream = events.read(undefined)
    await stream.next()
    for (let n = 0; n < 10_000; n++) events.publish(about(String(n)))
    await runtime.advance(60_000)
    expect(await take(stream, 2)).toEqual(['gap 10000', 'beat 10000'])
    const silent = follow(stream)
    await runtime.advance(0)
    expect(silent).toEqual([])
  })

  test('is told of a new run', async () => {
    const stream = events.read(undefined)
    await stream.next()
    events.publish(about('lost'))
    events.begin('run-2')
    const { value } = await stream.next()
    expect(value).toMatchObject({ type: 'gap', epoch: 'run-2', seq: 0 })
  })

  test.each(['leaves', 'is gone', 'is closed'])(
    'that %s while it waits ends, and is forgotten',
    async (how) => {
      const gone = new AbortController()
      const stream = events.read(undefined, gone.signal)
      await stream.next()
      const next = stream.next()
      await runtime.advance(0)
      if (how === 'leaves') await stream.return()
      else if (how === 'is gone') gone.abort()
      else events.close()
      expect(await next).toMatchObject({ done: true })
      expect(events.readers()).toBe(0)
      // Nobody is there to be beaten for.
      await runtime.advance(0)
      expect(runtime.sleeping()).toBe(0)
    },
  )

  test('who was gone before it began is no reader', async () => {
    const stream = events.read(undefined, AbortSignal.abort())
    expect(await stream.next()).toMatchObject({ done: true })
    expect(events.readers()).toBe(0)
  })

  test('the ninth makes the first leave, who is told why', async () => {
    const streams = Array.from({ length: 9 }, () => events.read(undefined))
    expect(events.readers()).toBe(8)
    const refusal: unknown = await streams[0]?.next().catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(FleetError)
    expect(refusal).toMatchObject({ code: 'TOO_MANY_READERS', details: { limit: 8 } })
    expect(await take(streams[8] as Stream, 1)).toEqual(['beat 0'])
  })
})

describe('a beat', () => {
  test('comes every 10 s, with how things are then', async () => {
    const seen = follow(events.read(undefined))
    await runtime.advance(9_999)
    expect(seen.map(short)).toEqual(['beat 0'])
    xray = { running: false, lastError: 'it was ended by SIGKILL' }
    position.trafficSeq = 7
    await runtime.advance(1)
    expect(seen.at(-1)).toMatchObject({ type: 'beat', time: 11_000, xray, position: { trafficSeq: 7 } })
    await runtime.advance(60_000)
    expect(seen).toHaveLength(8)
  })

  test('costs one timer, however many read', async () => {
    for (let n = 0; n < 5; n++) follow(events.read(undefined))
    await runtime.advance(0)
    expect(runtime.sleeping()).toBe(1)
  })
})

describe('a change', () => {
  const changes = (seen: NodeEvent[]): number[] =>
    seen.flatMap((event) => (event.type === 'changed' ? [event.position.changeSeq] : []))

  test('is told at once, and at most once a second', async () => {
    const seen = follow(events.read(undefined))
    position.changeSeq++
    events.moved()
    await runtime.advance(0)
    expect(changes(seen)).toEqual([2])
    for (let ms = 0; ms < 3_000; ms += 10) {
      position.changeSeq++
      events.moved()
      await runtime.advance(10)
    }
    await runtime.advance(5_000)
    expect(changes(seen).length).toBeLessThanOrEqual(5)
    expect(changes(seen).at(-1)).toBe(302)
  })

  test('that fails is none', async () => {
    const seen = follow(events.read(undefined))
    events.moved()
    await runtime.advance(3_000)
    expect(changes(seen)).toEqual([])
    position.changeSeq++
    events.moved()
    await runtime.advance(0)
    expect(changes(seen)).toEqual([2])
  })
})

describe('where a reader goes on', () => {
  test.each([
    ['nothing said', { epoch: '', after: 0 }, undefined, undefined],
    ['asked for', { epoch: 'r', after: 3 }, undefined, { epoch: 'r', seq: 3 }],
    ['cut off', { epoch: 'r', after: 3 }, 'r:9', { epoch: 'r', seq: 9 }],
    ['an id with colons', { epoch: '', after: 0 }, 'a:b:9', { epoch: 'a:b', seq: 9 }],
    ['no id of ours', { epoch: '', after: 0 }, 'nonsense', { epoch: '', seq: 0 }],
  ])('%s', (_, asked, lastEventId, place) => expect(placeOf(asked, lastEventId)).toEqual(place))
})

test('whatever is cut whenever: what is published arrives in order, once, or a gap says that it does not', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant('publish' as const) },
    { weight: 6, arbitrary: fc.constant('read' as const) },
    { weight: 2, arbitrary: fc.constant('cut' as const) },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      let run = 1
      begin(`run-${run}`)
      let published = 0
      /** In the runs before. */
      let before = 0
      let stream = events.read(undefined)
      let at: { epoch: string; seq: number } | undefined
      /** The last number that was seen, or said to be missed. */
      let seen = 0
      const readOne = async (): Promise<void> => {
        const { value, done } = await stream.next()
        if (done === true) throw new Error('ended')
        at = { epoch: value.epoch, seq: value.seq }
        expect(eventId(value)).toBe(`run-${run}:${value.seq}`)
        if (value.type === 'gap') seen = before + value.seq
        if (value.type === 'restored') expect(value.email).toBe(String(++seen))
        // All that is known was told before it says how things are.
        if (value.type === 'beat') expect(seen).toBe(published)
      }
      const catchUp = async (): Promise<void> => {
        events.publish(about(String(++published)))
        while (seen < published) await readOne()
      }
      // The first beat, so that there is a place to go on from.
      await readOne()
      for (const what of steps) {
        if (what === 'publish') events.publish(about(String(++published)))
        if (what === 'read' && seen < published) await readOne()
        if (what === 'cut') {
          await stream.return()
          stream = events.read(at)
        }
        if (what === 'restart') {
          events.close()
          begin(`run-${++run}`)
          before = published
          stream = events.read(at)
        }
      }
      await catchUp()
      expect(seen).toBe(published)
      events.close()
    }),
    { numRuns: 300 },
  )
})
