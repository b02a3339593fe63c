import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { addsInboundEverywhere, asksForClientEverywhere, joins } from '#test/support/chat.ts'
import { type FaultProxy, startFaultProxy } from '#test/support/fault-proxy.ts'
import { expectOneEverywhere, query } from '#test/support/standings.ts'
import { type Machine, type World, createWorld } from '#test/support/world.ts'

let world: World
let de: FaultProxy
let nl: FaultProxy
let machines: Machine[]

/** The address behind the one a machine is dialled at: the network to be broken lies between the two. */
const behind = (address: string): string => address.replace(/\d+$/, (last) => String(Number(last) + 100))

beforeAll(async () => {
  world = await createWorld({ agentListen: (address) => `${behind(address)}:8443` })
  const networkTo = (name: string): Promise<FaultProxy> => {
    const { address } = world.machine(name)
    return startFaultProxy({
      target: { host: behind(address), port: 8443 },
      listen: { host: address, port: 8443 },
    })
  }
  de = await networkTo('de-1')
  nl = await networkTo('nl-1')
  await world.startController()
  machines = [world.controller, await joins(world, 'de-1'), await joins(world, 'nl-1')]
  await addsInboundEverywhere(world.alice, { tag: 'main', port: 8444 })
  await world.alice.sees('Done on 3 of 3.')
}, 120_000)
afterAll(async () => {
  await world.stop()
  await de.close()
  await nl.close()
})

afterEach(({ task }) => {
  de.heal()
  nl.heal()
  if (task.result?.state === 'fail') console.log(world.logs().slice(-6_000))
})

const alerts = (): string[] =>
  world.alice
    .notifications()
    .map(({ text }) => text)
    .filter((text) => /-1 is (offline|back)|Xray/.test(text))

interface Sent {
  id: string
  status: string
  attempts: number
}
/** The newest task the controller has for a server. */
const newestTask = (server: number): Sent | undefined =>
  query<Sent>(
    world,
    world.controller,
    'select id, status, attempts from server_tasks where server_id = ? order by seq desc limit 1',
    server,
  )[0]

const outcomes = (machine: Machine, key: string): string[] =>
  query<{ status: string }>(world, machine, 'select status from applied_tasks where key = ?', key).map(
    ({ status }) => status,
  )

describe('between the controller and its servers', () => {
  test('replies lost after the commit: one client, the same everywhere, and the task done once', async () => {
    const { alice } = world
    const agent = world.machine('de-1')
    // A probe may hold the one connection that stands, and the change then goes nowhere: another name is tried.
    for (let attempt = 1; ; attempt++) {
      const name = `rita-${attempt}`
      await asksForClientEverywhere(alice, name)
      de.set({ type: 'holdReplies' })
      await alice.taps('Create')
      await alice.sees(new RegExp(`${name}[\\s\\S]*Working`))
      const isDone = (): boolean => outcomes(agent, newestTask(2)?.id ?? '').includes('applied')
      const giveUpAt = Date.now() + 5_000
      while (!isDone() && Date.now() < giveUpAt) await sleep(20)
      const wasDone = isDone()
      de.resetAll()
      de.heal()
      await alice.sees(new RegExp(`${name}[\\s\\S]*Done on 3 of 3\\.`), { timeoutMs: 30_000 })
      await expectOneEverywhere(world, machines, name)
      const task = newestTask(2)
      expect(task?.status).toBe('applied')
      expect(outcomes(agent, task?.id ?? '')).toEqual(['applied'])
      if (wasDone) {
        expect(task?.attempts).toBeGreaterThan(1)
        break
      }
      expect(attempt).toBeLessThan(5)
    }
  }, 120_000)

  test.each([
    ['half-open', { type: 'halfOpen' }],
    ['slow', { type: 'slow', bytesPerSecond: 100 }],
  ] as const)(
    'a server behind a %s line delays no other, the chat shows how far it is, and all is done in the end',
    async (what, fault) => {
      const { alice } = world
      nl.set(fault)
      for (const name of [`${what}-1`, `${what}-2`]) {
        await asksForClientEverywhere(alice, name)
        await alice.taps('Create')
        await alice.sees(
          (message) => message.text.includes(name) && /✅ Default Local Server\n✅ de-1/.test(message.text),
        )
        expect(newestTask(3)?.status).toMatch(/running|pending/)
        // Two are done there already: one who looks is told so while the third is under way.
        expect(alice.screen().text).toMatch(/2\/3/)
        await expectOneEverywhere(world, machines.slice(0, 2), name)
      }
      // Long enough for a probe to be missed too.
      if (what === 'half-open') await sleep(12_000)
      nl.heal()
      for (const name of [`${what}-1`, `${what}-2`]) await expectOneEverywhere(world, machines, name, 40_000)
      await alice.sees(new RegExp(`${what}-2[\\s\\S]*Done on 3 of 3\\.`), { timeoutMs: 40_000 })
    },
    120_000,
  )

  test('resets in the middle of sweeps, and 15 s of nothing else, are not worth a word', async () => {
    const stop = Date.now() + 6_000
    while (Date.now() < stop) {
      de.resetAll()
      nl.resetAll()
      await sleep(150)
    }
    de.set({ type: 'reset' })
    nl.set({ type: 'reset' })
    await sleep(15_000)
    expect(de.strikes).toBeGreaterThan(0)
    de.heal()
    nl.heal()
    await sleep(8_000)
    expect(alerts()).toEqual([])
    await world.alice.sends('/start')
    await world.alice.sees('3 of 3 online')
  }, 60_000)
})
