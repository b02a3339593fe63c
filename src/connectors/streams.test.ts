import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { getEventMeta } from '@orpc/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FleetError } from '#src/errors.ts'
import { closesAfterEach } from '#test/support/closing.ts'
import {
  createEventNode,
  errorOf,
  type EventNode,
  nextEvent,
  nextOf,
  told,
} from '#test/support/event-node.ts'
import { hurriedRuntime } from '#test/support/hurried-runtime.ts'
import { kinds, openRoads } from '#test/support/roads.ts'
import { createTestFleetCa, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { startTestNode, type TestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/xray-client.ts'

let trust: TestFleetCa
beforeAll(async () => {
  trust = await createTestFleetCa()
})
afterAll(() => trust.close())

const closing = closesAfterEach()

describe('a real node', () => {
  let it: TestNode
  beforeAll(async () => {
    it = await startTestNode()
  })
  afterAll(() => it.stop())
  const key = () => ({ context: { idempotencyKey: randomUUID() } })

  test.each(kinds)('tells by the %s connector what changes and what becomes of Xray', async (kind) => {
    const server = closing(await openRoads(trust, it.node.operations))[kind]
    const events = await server.sync.events({})
    const first = await nextEvent(events)
    expect(first).toMatchObject({ type: 'beat', xray: { running: true, lastError: null } })
    expect(getEventMeta(first)?.id).toBe(`${first.epoch}:${first.seq}`)

    await server.inbounds.add(
      {
        tag: kind,
        protocol: 'vless',
        port: await freePort(),
        listen: '127.0.0.1',
        stream: { transport: { type: 'raw' }, security: { type: 'none' } },
      },
      key(),
    )
    const { epoch, changeSeq } = await server.server.health()
    let changed = await nextOf(events, 'changed')
    // That of a change before may still have been on its way.
    while (changed.position.changeSeq < changeSeq) changed = await nextOf(events, 'changed')
    expect(changed.position).toMatchObject({ epoch, changeSeq })

    await server.xray.stop(undefined, key())
    expect(await nextOf(events, 'xrayDown')).toMatchObject({ reason: 'it was stopped', lines: [] })
    await server.xray.start(undefined, key())
    expect(await nextOf(events, 'xrayUp')).toMatchObject({ lastError: null })

    // Once more from the beginning: the same events, with the same ids.
    const again = await server.sync.events({ epoch: first.epoch, after: changed.seq - 1 })
    expect(await nextOf(again, 'changed')).toEqual(changed)
  })

  test.each(kinds)('lets its logs be read along with by the %s connector', async (kind) => {
    const server = closing(await openRoads(trust, it.node.operations))[kind]
    const stop = new AbortController()
    const tail = await server.system.tail({ source: 'output', lines: 2 }, { signal: stop.signal })
    expect((await tail.next()).value).toMatchObject({ skipped: 0, lines: expect.any(Array) })
    await server.xray.restart(undefined, key())
    let seen = ''
    while (!seen.includes('Reading config')) {
      const { done, value } = await tail.next()
      if (done === true) throw new Error('the end')
      seen += value.lines.join('\n')
    }
    expect(seen).toMatch(/^Xray \d/)
    const waiting = tail.next()
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    const none = await errorOf(server.system.tail({ lines: 1_001 }))
    expect(none).toMatchObject({ code: 'BAD_INPUT', details: { field: 'lines' } })
  })

  test('and when it starts anew, it says that there is a gap', async () => {
    const before = closing(await openRoads(trust, it.node.operations))
    const { epoch, seq } = await nextEvent(await before.local.sync.events({}))
    await it.restart()
    const roads = closing(await openRoads(trust, it.node.operations))
    for (const kind of kinds) {
      const event = await nextEvent(await roads[kind].sync.events({ epoch, after: seq }))
      expect(event.type).toBe('gap')
      expect(event.epoch).not.toBe(epoch)
    }
  })
})

describe.each(kinds)('a stream by the %s connector', (kind) => {
  test('goes on where it was left, by what was asked for or by the id of the last event', async () => {
    const node = closing(createEventNode())
    const server = closing(await openRoads(trust, node.operations))[kind]
    const first = await server.sync.events({})
    await nextOf(first, 'beat')
    node.say('a')
    node.say('b')
    expect(await told(first, 1)).toEqual(['a'])
    await first.return()
    node.say('c')
    expect(await told(await server.sync.events({ epoch: 'run-1', after: 1 }), 2)).toEqual(['b', 'c'])
    const plain = await server.sync.events({ epoch: 'run-1', after: 0 }, { lastEventId: 'run-1:2' })
    expect(await told(plain, 1)).toEqual(['c'])
    expect(await told(await server.sync.events({ epoch: 'run-0', after: 1 }), 1)).toEqual(['gap'])
  })

  test('ends with the reason of the caller’s signal, also while nothing comes, and the node forgets it', async () => {
    const node = closing(createEventNode())
    const server = closing(await openRoads(trust, node.operations))[kind]
    const stop = new AbortController()
    const stream = await server.sync.events({}, { signal: stop.signal })
    await nextEvent(stream)
    const waiting = stream.next()
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(await stream.next()).toMatchObject({ done: true })
    await expect.poll(() => node.events.readers()).toBe(0)
    await expect(server.sync.events({}, { signal: stop.signal })).rejects.toThrow('enough')
  })

  test('that is left while nothing comes is at its end, and the node forgets it', async () => {
    const node = closing(createEventNode())
    const server = closing(await openRoads(trust, node.operations))[kind]
    const stream = await server.sync.events({})
    await nextEvent(stream)
    const waiting = stream.next()
    await stream.return()
    expect(await waiting).toMatchObject({ done: true })
    await expect.poll(() => node.events.readers()).toBe(0)
  })

  test('outlives the deadline of a call, which is for its beginning alone', async () => {
    const node = closing(createEventNode())
    // 10 s are half a second.
    const runtime = hurriedRuntime(20)
    const server = closing(await openRoads(trust, node.operations, { runtime }))[kind]
    const stream = await server.sync.events({})
    await nextEvent(stream)
    await sleep(800)
    node.say('a')
    expect(await told(stream, 1)).toEqual(['a'])
    node.opens = () => new Promise(() => undefined)
    expect((await errorOf(server.sync.events({}))).code).toBe('SERVER_TIMEOUT')
  })

  test('fails in the node’s own words, at its beginning and later', async () => {
    const node = closing(createEventNode())
    const server = closing(await openRoads(trust, node.operations))[kind]
    const stream = await server.sync.events({})
    await nextEvent(stream)
    for (let n = 0; n < 8; n++) node.events.read(undefined)
    expect(await errorOf(stream.next())).toMatchObject({
      code: 'TOO_MANY_READERS',
      details: { limit: 8 },
      retryable: true,
    })
    expect(await stream.next()).toMatchObject({ done: true })
    node.opens = () => Promise.reject(new FleetError('XRAY_REFUSED', { reason: 'no such thing' }))
    expect(await errorOf(server.sync.events({}))).toMatchObject({
      code: 'XRAY_REFUSED',
      details: { reason: 'no such thing' },
    })
    expect((await errorOf(server.sync.events({ after: -1 }))).code).toBe('BAD_INPUT')
  })

  const a = { type: 'restored', epoch: 'e', seq: 1, time: 0, email: 'a' }
  const opening = (generate: () => AsyncGenerator<unknown>): EventNode['opens'] =>
    (async () => generate()) as unknown as EventNode['opens']

  test.each<[string, () => AsyncGenerator<unknown>]>([
    [
      'something nobody foresaw',
      async function* () {
        yield a
        throw new Error('secret words')
      },
    ],
    [
      'an event that breaks the contract',
      async function* () {
        yield a
        yield { type: 'restored', secret: 'words' }
      },
    ],
  ])('with %s ends as INTERNAL, and its words stay on the server', async (_, generate) => {
    const node = closing(createEventNode())
    node.opens = opening(generate)
    const server = closing(await openRoads(trust, node.operations))[kind]
    const stream = await server.sync.events({})
    expect(await told(stream, 1)).toEqual(['a'])
    const error = await errorOf(stream.next())
    expect(error.code).toBe('INTERNAL')
    expect(JSON.stringify([error.message, error.details])).not.toContain('secret')
  })

  test('passes over an event that only a newer release knows', async () => {
    const node = closing(createEventNode())
    node.opens = opening(async function* () {
      yield { type: 'eclipse', epoch: 'e', seq: 1, time: 0, darkness: 9 }
      yield { ...a, seq: 2 }
    })
    const server = closing(await openRoads(trust, node.operations))[kind]
    expect(await told(await server.sync.events({}), 2)).toEqual(['unknown', 'a'])
  })
})
