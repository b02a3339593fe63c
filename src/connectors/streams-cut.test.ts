import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { closesAfterEach } from '#test/support/closing.ts'
import {
  createEventNode,
  errorOf,
  type EventStream,
  nextEvent,
  nextOf,
  told,
} from '#test/support/event-node.ts'
import { openProxiedRoads, openRoads } from '#test/support/roads.ts'
import { createTestFleetCa, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { createRemoteConnector } from './remote.ts'
import { streamDispatcher } from './transport.ts'

let trust: TestFleetCa
beforeAll(async () => {
  trust = await createTestFleetCa()
})
afterAll(() => trust.close())

const closing = closesAfterEach()

describe('a stream over the network', () => {
  test('that is cut breaks; what happened meanwhile follows, once', async () => {
    const node = closing(createEventNode())
    const roads = closing(await openProxiedRoads(trust, node.operations))
    const stream = await roads.remote.sync.events({})
    node.say('a')
    expect(await told(stream, 1)).toEqual(['a'])
    const waiting = errorOf(nextOf(stream, 'gap'))
    roads.proxy.resetAll()
    expect(await waiting).toMatchObject({ code: 'SERVER_UNREACHABLE', details: { sent: true } })
    for (const email of ['b', 'c']) node.say(email)
    const again = await roads.remote.sync.events({ epoch: 'run-1', after: 1 })
    node.say('d')
    expect(await told(again, 3)).toEqual(['b', 'c', 'd'])
    await expect.poll(() => node.events.readers()).toBe(1)
  })

  test('of an agent that has started anew tells of the gap, and of all since', async () => {
    const roads = closing(await openProxiedRoads(trust, closing(createEventNode()).operations))
    const stream = await roads.remote.sync.events({})
    const { epoch, seq } = await nextEvent(stream)
    const broken = errorOf(nextOf(stream, 'gap'))
    const later = closing(createEventNode({ run: 'run-2' }))
    later.say('a')
    await roads.reopen(later.operations)
    expect((await broken).code).toBe('SERVER_UNREACHABLE')
    const again = await roads.remote.sync.events({ epoch, after: seq })
    expect(await nextEvent(again)).toMatchObject({ type: 'gap', epoch: 'run-2', seq: 0 })
    later.say('b')
    expect(await told(again, 2)).toEqual(['a', 'b'])
  })

  test('whose connection dies without a word is noticed, and one that only has little to say is not', async () => {
    const node = closing(createEventNode({ beatEveryMs: 300 }))
    const roads = closing(await openProxiedRoads(trust, node.operations, { streamSilenceMs: 1_500 }))
    const stream = await roads.remote.sync.events({})
    for (let beats = 0; beats < 12; beats++) expect((await nextEvent(stream)).type).toBe('beat')
    roads.proxy.set({ type: 'halfOpen' })
    const error = await errorOf(nextOf(stream, 'gap'))
    expect(error.message).toBe('The server cannot be reached: nothing was heard from it for too long.')
    roads.proxy.heal()
    expect((await nextEvent(await roads.remote.sync.events({}))).type).toBe('beat')
  })

  test('that nobody reads costs the node nothing: its reader is told of every gap', async () => {
    const node = closing(createEventNode())
    const roads = closing(await openProxiedRoads(trust, node.operations))
    const stream = await roads.remote.sync.events({})
    await nextEvent(stream)
    const lines = Array.from({ length: 10 }, () => 'x'.repeat(300))
    // Far more than all buffers between here and there.
    for (let round = 0; round < 40; round++) {
      for (let n = 0; n < 300; n++) node.events.publish({ type: 'xrayDown', reason: 'x', lines })
      await sleep(5)
    }
    let [at, gaps] = [0, 0]
    while (at < 12_000) {
      const { type, seq } = await nextEvent(stream)
      if (type === 'gap') gaps++
      else expect(seq).toBe(type === 'beat' ? at : at + 1)
      at = seq
    }
    expect(gaps).toBeGreaterThan(0)
    node.say('a')
    expect(await told(stream, 1)).toEqual(['a'])
  })

  test('takes no connection from the calls, and ends at once with its agent', async () => {
    const node = closing(createEventNode())
    const roads = closing(await openRoads(trust, node.operations))
    const streams = await Promise.all(Array.from({ length: 8 }, () => roads.remote.sync.events({})))
    await Promise.all(Array.from({ length: 20 }, () => roads.remote.inbounds.list()))
    const ends = streams.map((stream) => errorOf(nextOf(stream, 'gap')))
    await roads.shut()
    for (const error of await Promise.all(ends)) expect(error.code).toBe('SERVER_UNREACHABLE')
    await expect.poll(() => node.events.readers()).toBe(0)
  })

  test('leaves nothing behind, however often it is opened', async () => {
    const node = closing(createEventNode())
    const roads = closing(await openRoads(trust, node.operations))
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
    await roads.remote.inbounds.list()
    const before = sockets()
    for (let n = 0; n < 100; n++) {
      const stop = new AbortController()
      const stream = await roads.remote.sync.events({}, { signal: stop.signal })
      await nextEvent(stream)
      if (n % 2 === 0) stop.abort()
      else await stream.return()
    }
    await expect.poll(() => node.events.readers()).toBe(0)
    await expect.poll(sockets, { timeout: 15_000 }).toBeLessThanOrEqual(before)
  })

  test('whatever is cut whenever: what was said arrives in order and once, or a gap says that it does not', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('say', 'read') },
      { weight: 4, arbitrary: fc.constantFrom('cut', 'cut in an event', 'flood') },
      { weight: 1, arbitrary: fc.constant('start anew') },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        let run = 1
        let node = createEventNode({ run: `run-${run}`, kept: 20 })
        const roads = await openProxiedRoads(trust, node.operations)
        let stream: EventStream | undefined
        let at: { epoch: string; after: number } | undefined
        let [said, seen] = [0, 0]
        const say = (): void => node.say(String(++said))
        /** Reads one event, opening the stream first if it must. A cut only means that nothing was read. */
        const read = async (): Promise<void> => {
          try {
            stream ??= await roads.remote.sync.events(at ?? {})
            const event = await nextEvent(stream)
            at = { epoch: event.epoch, after: event.seq }
            // Still on its way when the agent started anew.
            if (event.epoch !== `run-${run}`) return
            if (event.type === 'gap') seen = event.seq
            if (event.type === 'restored') expect(event.email).toBe(`${++seen}`)
            if (event.type === 'beat') expect(event.seq).toBe(seen)
          } catch (error) {
            expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE' })
            stream = undefined
          }
        }
        // The first beat, so that there is a place to go on from.
        await read()
        for (const what of steps) {
          if (what === 'say') say()
          if (what === 'read' && seen < said) await read()
          if (what === 'cut') roads.proxy.resetAll()
          if (what === 'cut in an event') {
            roads.proxy.set({ type: 'cut', direction: 'reply', after: 40, once: true })
            say()
          }
          if (what === 'flood') for (let n = 0; n < 25; n++) say()
          if (what === 'start anew') {
            node.close()
            node = createEventNode({ run: `run-${++run}`, kept: 20 })
            ;[said, seen] = [0, 0]
            await roads.reopen(node.operations)
          }
        }
        say()
        while (seen < said) await read()
        expect(seen).toBe(said)
        await stream?.return()
        await roads.close()
        node.close()
      }),
      { numRuns: 60 },
    )
  }, 120_000)
})

describe('an answer that is no stream', () => {
  let server: Server
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  test.each<[string, string]>([
    ['no JSON', 'event: message\ndata: {"type":\n\n'],
    ['no event of ours', 'event: message\ndata: {"type":"beat"}\n\n'],
    ['no end', `data: ${'x'.repeat(1_200_000)}`],
  ])('is said to be none: %s', async (_, text) => {
    const { certificatePem: cert, keyPem: key, caPem: ca } = await trust.certify(2)
    server = createServer({ cert, key, ca, requestCert: true }, (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(text)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { secureContext } = trust
    const streams = streamDispatcher({ endpoint, serverId: 2, secureContext, isAllowed: () => true })
    closing({ close: () => streams.destroy() })
    const connector = createRemoteConnector({
      endpoint,
      dispatcher: streams,
      streams,
      files: streams,
      runtime: systemRuntime(),
    })
    const stream = await connector.sync.events({})
    expect((await errorOf(stream.next())).code).toBe('SERVER_ANSWER_UNREADABLE')
  })
})
