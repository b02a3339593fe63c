import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  addsInboundEverywhere,
  asksForClientEverywhere,
  joins,
  linksIn,
  opensClient,
} from '#test/support/chat.ts'
import { type World, createWorld } from '#test/support/world.ts'

let world: World

beforeAll(async () => {
  world = await createWorld()
  await world.startController()
})
afterAll(() => world.stop())

/** Long enough for every restart below, at a rate that a busy machine keeps up with. */
const download = { bytes: 6_000_000, rate: 200_000 }

describe('while people download', () => {
  test('controller and agents restart, clients come and go, and no connection breaks', async () => {
    const { alice } = world
    await joins(world, 'de-1')
    await joins(world, 'nl-1')
    await addsInboundEverywhere(alice, { tag: 'main', port: 8444 })
    await alice.sees('Done on 3 of 3.')
    await asksForClientEverywhere(alice, 'anna')
    await alice.taps('Create')
    const links = linksIn(await alice.sees(/anna[\s\S]*Done on 3 of 3\./))

    const machines = [world.controller, world.machine('de-1'), world.machine('nl-1')]
    const before = await Promise.all(machines.map((machine) => machine.xray()))
    const apps = await Promise.all(links.map((link) => world.app(link)))
    const downloads = apps.map((app) => app.download(world.site.downloadUrl(download)))
    await expect.poll(() => downloads.every((one) => one.received() > 0), { timeout: 10_000 }).toBe(true)

    await world.controller.program.stop()
    await world.startController()
    for (const name of ['de-1', 'nl-1']) {
      const agent = world.machine(name).program
      await agent.stop()
      agent.start()
      await agent.says(/"msg":"/)
      await sleep(1_000)
    }
    await asksForClientEverywhere(alice, 'bert')
    await alice.taps('Create')
    await alice.sees(/bert[\s\S]*Done on 3 of 3\./, { timeoutMs: 30_000 })
    await opensClient(alice, 'bert')
    await alice.taps('Delete')
    await alice.sees('Delete bert everywhere?')
    await alice.taps('Delete')
    await alice.sees((message) => message.text.includes('bert') && message.text.includes('Done on 3 of 3.'), {
      timeoutMs: 30_000,
    })

    // None had ended before the last of it happened.
    expect(downloads.every((one) => one.received() < download.bytes)).toBe(true)
    const ends = await Promise.all(downloads.map((one) => one.finished))
    expect(ends).toEqual(links.map(() => ({ bytes: download.bytes, complete: true })))
    expect(await Promise.all(machines.map((machine) => machine.xray()))).toEqual(before)
  }, 180_000)
})
