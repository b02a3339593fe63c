import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NodeEvent } from '#src/contract/index.ts'
import { type FleetHouse, alice, openFleetHouse } from '#test/support/fleet-house.ts'
import type { SimulatedNode } from '#test/support/simulated-node.ts'
import { reconnectAfter } from './event-streams.ts'
import type { FleetEvents, Server } from './types.ts'

let house: FleetHouse
let de: Server
let node: SimulatedNode
beforeEach(async () => {
  house = await openFleetHouse()
  de = await house.join('de')
  node = house.nodeOf(de)
  // The first stream is opened, and what joining has set off is over.
  await house.runtime.advance(5_000)
  node.streams.length = 0
  node.calls.length = 0
})
afterEach(() => house.end())

const at = (seq: number, epoch = 'run-1') => ({ epoch, seq, time: 0 })
const restored = (email: string, seq: number, epoch?: string): NodeEvent => ({
  type: 'restored',
  email,
  ...at(seq, epoch),
})
const changed = (seq: number): NodeEvent => ({ type: 'changed', ...at(seq), position: node.position() })
const beat = (seq: number): NodeEvent => ({
  type: 'beat',
  ...at(seq),
  position: node.position(),
  xray: { running: true, lastError: null },
})

function listen(): { pushed: string[]; suspects: number[]; missed: number[] } {
  const heard = { pushed: [] as string[], suspects: [] as number[], missed: [] as number[] }
  const say = ({ event }: FleetEvents['pushed']): void =>
    void heard.pushed.push('email' in event ? `${event.type} ${event.email}` : event.type)
  house.fleet.on('pushed', say)
  house.fleet.on('suspect', ({ serverId }) => heard.suspects.push(serverId))
  house.fleet.on('missed', ({ serverId }) => heard.missed.push(serverId))
  return heard
}

async function addOnServer(email: string): Promise<void> {
  const clients = [house.fleet.newClient(email)]
  await node.connector.clients.add({ id: 'main', clients }, { context: { idempotencyKey: email } })
}

const names = (): string[] =>
  house.fleet.view.clients(de.id, { page: 0, size: 50 }).items.map((client) => client.email)
const fetches = (): number => node.calls.filter((call) => call === 'sync.changes').length

describe('what a server tells', () => {
  test('of a change: the mirror shows it at once', async () => {
    await addOnServer('bob')
    expect(names()).toEqual([])
    node.tell(changed(1))
    await house.runtime.advance(0)
    expect(names()).toEqual(['bob'])
    node.tell(changed(2))
    node.tell(beat(2))
    await house.runtime.advance(0)
    expect(fetches()).toBe(1)
    expect(house.fleet.view.syncedAt(de.id)).toBe(house.runtime.now())
  })

  test('of its Xray: whoever listens hears it, and health is to look', async () => {
    const heard = listen()
    node.tell({ type: 'xrayDown', ...at(1), reason: 'it was ended by SIGKILL', lines: [] })
    node.tell({ type: 'xrayUp', ...at(2), lastError: null })
    await house.runtime.advance(0)
    expect(heard).toEqual({ pushed: ['xrayDown', 'xrayUp'], suspects: [de.id, de.id], missed: [] })
  })

  test('of a limit or a certificate: whoever listens hears it, once, whatever is repeated', async () => {
    const heard = listen()
    node.tell({ type: 'limitReached', ...at(1), email: 'bob', limit: 'traffic' })
    node.tell({ type: 'limitReached', ...at(1), email: 'bob', limit: 'traffic' })
    node.tell({ type: 'certificateSoonDue', ...at(2), domain: 'a.example', daysLeft: 7 })
    node.tell({ type: 'unknown', ...at(3) })
    await house.runtime.advance(0)
    expect(heard).toEqual({
      pushed: ['limitReached bob', 'certificateSoonDue'],
      suspects: [],
      missed: [],
    })
  })

  test('that there is a gap: everything is looked at', async () => {
    const heard = listen()
    await addOnServer('bob')
    node.tell({ type: 'gap', ...at(7, 'run-2'), position: node.position() })
    await house.runtime.advance(0)
    expect(names()).toEqual(['bob'])
    expect(heard).toEqual({ pushed: [], suspects: [de.id], missed: [de.id] })
    node.cutStreams()
    await house.runtime.advance(2_000)
    expect(node.streams).toEqual([{ epoch: 'run-2', after: 7 }])
  })

  test('of traffic alone, by a thousand servers: as many are followed as can be, the rest is left to the sweep', async () => {
    let seq = 0
    for (let n = 0; n < 100; n++) {
      const { epoch, changeSeq, trafficSeq } = node.position()
      node.tell({ type: 'changed', ...at(++seq), position: { epoch, changeSeq, trafficSeq: trafficSeq + n } })
      await house.runtime.advance(0)
    }
    expect(fetches()).toBe(20)
    await house.runtime.advance(1_000)
    for (let n = 0; n < 100; n++) {
      node.tell({ ...changed(++seq), position: { ...node.position(), trafficSeq: 1_000 + n } } as NodeEvent)
      await house.runtime.advance(0)
    }
    expect(fetches()).toBe(30)
    // A change of rows is never left.
    await addOnServer('bob')
    node.tell(changed(++seq))
    await house.runtime.advance(0)
    expect(names()).toEqual(['bob'])
  })
})

describe('a stream', () => {
  test('that breaks makes health look, and again when it stands, and goes on where it was', async () => {
    const heard = listen()
    node.tell(restored('a', 1))
    await house.runtime.advance(0)
    node.cutStreams()
    await house.runtime.advance(0)
    expect(heard.suspects).toEqual([de.id])
    await house.runtime.advance(2_000)
    expect(heard.suspects).toEqual([de.id, de.id])
    expect(node.streams).toEqual([{ epoch: 'run-1', after: 1 }])
    node.tell(restored('b', 2))
    await house.runtime.advance(0)
    expect(heard.pushed).toEqual(['restored a', 'restored b'])
    expect(heard.missed).toEqual([])
  })

  test('that cannot be opened is tried ever more rarely, and makes nobody look', async () => {
    const heard = listen()
    node.offline = true
    node.cutStreams()
    await house.runtime.advance(0)
    expect(heard.suspects).toEqual([de.id])
    await house.runtime.advance(600_000)
    expect(heard.suspects).toEqual([de.id])
    // One waits, for one try.
    expect(house.runtime.sleeping()).toBeLessThanOrEqual(3)
    node.offline = false
    await house.runtime.advance(61_000)
    expect(node.streams).toHaveLength(1)
    expect(heard.suspects).toEqual([de.id, de.id])
  })

  test('is opened as soon as health has heard of the server', async () => {
    node.offline = true
    node.cutStreams()
    await house.runtime.advance(300_000)
    node.offline = false
    await house.fleet.noteHealth(de.id, {
      status: 'online',
      xrayRunning: true,
      agentVersion: '1',
      xrayVersion: '26',
      lastError: null,
      ...node.position(),
      time: 0,
    })
    await house.runtime.advance(0)
    expect(node.streams).toHaveLength(1)
  })

  test('of an agent from before there were any is asked for every ten minutes', async () => {
    node.refuseStreams = 'NOT_FOUND'
    node.cutStreams()
    await house.runtime.advance(2_000)
    expect(node.streams).toHaveLength(1)
    await house.runtime.advance(599_000)
    expect(node.streams).toHaveLength(1)
    await house.runtime.advance(2_000)
    expect(node.streams).toHaveLength(2)
  })

  test('of a server that floods is left alone for a while', async () => {
    const heard = listen()
    for (let seq = 1; seq <= 3_000; seq++) node.tell(restored(String(seq), seq))
    await house.runtime.advance(0)
    expect(heard.pushed).toHaveLength(2_000)
    await house.runtime.advance(300_000)
    expect(node.streams).toEqual([])
    await house.runtime.advance(310_000)
    expect(node.streams).toEqual([{ epoch: 'run-1', after: 2_000 }])
  })

  test('ends while its server is switched off, without a word, and when it is removed', async () => {
    const heard = listen()
    house.fleet.servers.setEnabled(de.id, false, alice)
    await house.runtime.advance(600_000)
    node.tell(restored('a', 1))
    await house.runtime.advance(0)
    expect(node.streams).toEqual([])
    house.fleet.servers.setEnabled(de.id, true, alice)
    await house.runtime.advance(0)
    expect(node.streams).toHaveLength(1)
    node.tell(restored('b', 2))
    await house.runtime.advance(0)
    house.fleet.servers.remove(de.id, alice)
    await house.runtime.advance(600_000)
    node.tell(restored('c', 3))
    await house.runtime.advance(0)
    expect(node.streams).toHaveLength(1)
    expect(heard.pushed).toEqual(['restored b'])
    const left = house.db.$client.prepare("select key from settings where key like 'events.%'").all()
    expect(left).toEqual([])
  })

  test('of a newcomer is opened when it has joined', async () => {
    const us = house.fleet.servers.create({ name: 'us' }, alice)
    await house.runtime.advance(60_000)
    expect(house.nodeOf(us).streams).toEqual([])
    house.fleet.noteJoined(us.id, 'https://us.example:8443')
    await house.runtime.advance(0)
    expect(house.nodeOf(us).streams).toHaveLength(1)
  })

  test.each(['stop', 'kill'] as const)(
    'goes on over a restart of the controller (%s): nothing is told twice',
    async (how) => {
      node.tell(restored('a', 1))
      await house.runtime.advance(0)
      await house.restart(how)
      const heard = listen()
      await house.runtime.advance(5_000)
      expect(node.streams).toEqual([{ epoch: 'run-1', after: 1 }])
      node.tell(restored('a', 1))
      node.tell(restored('b', 2))
      await house.runtime.advance(0)
      expect(heard.pushed).toEqual(['restored b'])
      expect(heard.suspects).toEqual([])
    },
  )
})

test('a quiet server costs no write', async () => {
  const changes = (): unknown => house.db.$client.prepare('select total_changes()').pluck().get()
  const before = changes()
  for (let n = 0; n < 300; n++) {
    node.tell(beat(0))
    await house.runtime.advance(10_000)
  }
  expect(changes()).toBe(before)
})

test('the wait between two tries grows from a second or two to a minute, and is not the same for all', () => {
  const bounds = [0, 1, 2, 3, 4, 5, 6, 50].map((failures) => [
    reconnectAfter(failures, 0),
    reconnectAfter(failures, 1),
  ])
  expect(bounds).toEqual([
    [1_000, 2_000],
    [1_000, 4_000],
    [1_000, 8_000],
    [1_000, 16_000],
    [1_000, 32_000],
    [1_000, 60_000],
    [1_000, 60_000],
    [1_000, 60_000],
  ])
})
