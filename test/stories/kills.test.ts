import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  addsInboundEverywhere,
  asksForClientEverywhere,
  joins,
  linksIn,
  opensClient,
} from '#test/support/chat.ts'
import { expectOneEverywhere, standings } from '#test/support/standings.ts'
import { type Machine, type World, createWorld } from '#test/support/world.ts'

let world: World
let machines: Machine[]

beforeAll(async () => {
  world = await createWorld()
  await world.startController()
  machines = [world.controller, await joins(world, 'de-1'), await joins(world, 'nl-1')]
  await addsInboundEverywhere(world.alice, { tag: 'main', port: 8444 })
  await world.alice.sees('Done on 3 of 3.')
}, 120_000)
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.log(world.logs().slice(-6_000))
})
afterAll(() => world.stop())

async function fetchThroughEveryLink(name: string): Promise<void> {
  const links = linksIn(await opensClient(world.alice, name))
  expect(links).toHaveLength(3)
  for (const link of links) {
    expect((await (await world.app(link)).get(world.site.pageUrl)).body).toBe(world.site.pageText)
  }
}

const settled = (name: string) => async (): Promise<boolean> => {
  const all = await Promise.all(machines.map((machine) => standings(world, machine, name)))
  return all.every(({ rows, xray }) => rows === 1 && xray.length === 1)
}

describe('kill -9', () => {
  // From before the tap has reached the controller to after everything is done; the moments between are the point.
  test.each([0, 10, 25, 40, 60, 90])(
    'of the controller, %i ms into an "All servers" write',
    async (delay) => {
      const name = `c${delay}`
      await asksForClientEverywhere(world.alice, name)
      await world.alice.taps('Create')
      await sleep(delay)
      await world.controller.program.kill()
      await world.startController()
      await expect.poll(settled(name), { timeout: 30_000, interval: 200 }).toBe(true)
      await world.alice.sees(new RegExp(`${name}[\\s\\S]*Done on 3 of 3\\.`), { timeoutMs: 30_000 })
      await expectOneEverywhere(world, machines, name)
    },
    90_000,
  )

  test.each([0, 15, 30, 60])(
    'of an agent, %i ms into an "All servers" write',
    async (delay) => {
      const name = `a${delay}`
      const agent = world.machine('de-1').program
      await asksForClientEverywhere(world.alice, name)
      await world.alice.taps('Create')
      await sleep(delay)
      await agent.kill()
      agent.start()
      await expect.poll(settled(name), { timeout: 60_000, interval: 200 }).toBe(true)
      await world.alice.sees(new RegExp(`${name}[\\s\\S]*Done on 3 of 3\\.`), { timeoutMs: 60_000 })
      await expectOneEverywhere(world, machines, name)
    },
    120_000,
  )

  test('of the controller in the middle of a wizard: it goes on, and what was tapped meanwhile is not lost', async () => {
    const { alice } = world
    await alice.sends('/add')
    await alice.sees('What is the client called?')
    await alice.sends('wanda')
    await alice.sees('On which servers?')
    await world.controller.program.kill()
    await alice.taps('All servers')
    await world.startController()
    await alice.sees('Name: wanda', { timeoutMs: 30_000 })
    await world.controller.program.kill()
    await alice.taps('Create')
    await world.startController()
    await alice.sees(/wanda[\s\S]*Done on 3 of 3\./, { timeoutMs: 30_000 })
    await expectOneEverywhere(world, machines, 'wanda')
    await fetchThroughEveryLink('wanda')
  }, 90_000)
})
