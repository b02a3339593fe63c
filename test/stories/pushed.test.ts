import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  addsInboundEverywhere,
  asksForClientEverywhere,
  joins,
  linksIn,
  opensClient,
} from '#test/support/chat.ts'
import { type Machine, type World, createWorld } from '#test/support/world.ts'

/** s. Far longer than anything here takes: what is told in time was pushed, not found by looking. */
const SWEEPS = 600

let world: World
let de: Machine

beforeAll(async () => {
  world = await createWorld({ healthIntervalSeconds: SWEEPS })
  await world.startController()
  de = await joins(world, 'de-1')
}, 120_000)
afterAll(() => world.stop())

async function killXray(machine: Machine): Promise<void> {
  process.kill((JSON.parse(await machine.xray()) as { pid: number }).pid, 'SIGKILL')
}

const alerts = (): string[] =>
  world.alice
    .notifications()
    .map(({ text }) => text)
    .filter((text) => /de-1 is (offline|back)|Xray is down on de-1/.test(text))

// Each part goes on where the one before ended.
describe('a server tells by itself', () => {
  test('what is carried over it: the card shows the bytes', async () => {
    const { alice } = world
    await addsInboundEverywhere(alice, { tag: 'main', port: 8444 })
    await alice.sees('Done on 2 of 2.')
    await asksForClientEverywhere(alice, 'anna')
    await alice.taps('Create')
    const links = linksIn(await alice.sees(/anna[\s\S]*Done on 2 of 2\./))
    const link = links.find((each) => each.includes(de.address)) ?? ''
    const page = await (await world.app(link)).get(world.site.pageUrl)
    expect(page.body).toBe(world.site.pageText)
    const shown = async (): Promise<boolean> => /↓ [1-9]/.test((await opensClient(alice, 'anna')).text)
    // Counted every 10 s.
    await expect.poll(shown, { timeout: 20_000, interval: 1_000 }).toBe(true)
  }, 90_000)

  test('that its Xray was ended and is back: not worth a word', async () => {
    const before = await de.xray()
    await killXray(de)
    await expect.poll(() => de.xray().catch(() => before), { timeout: 20_000 }).not.toBe(before)
    await sleep(8_000)
    expect(alerts()).toEqual([])
  }, 60_000)

  test('that its Xray has ended and does not start: the alert is there within 10 s', async () => {
    await world.breakXray()
    const since = Date.now()
    await killXray(de)
    const alert = await world.alice.sees('Xray is down on de-1', { timeoutMs: 30_000 })
    expect(Date.now() - since).toBeLessThan(10_000)
    expect(alert.text).toContain('cannot be run')
  }, 60_000)

  test('that it is back: the all-clear does not wait for a sweep', async () => {
    await world.mendXray()
    // The next attempt comes after 30 s at most, and the second good look 5 s later.
    await world.alice.sees('de-1 is back', { timeoutMs: 60_000 })
    expect(alerts()).toHaveLength(2)
  }, 90_000)

  test('nothing any more: a dead agent is told within 45 s', async () => {
    const since = Date.now()
    await de.program.kill()
    await world.alice.sees('de-1 is offline', { timeoutMs: 60_000 })
    expect(Date.now() - since).toBeLessThan(45_000)
    de.program.start()
    // Its stream is asked for once a minute at the least, and tells that it is back.
    await expect.poll(() => alerts().length, { timeout: 90_000 }).toBe(4)
    expect(alerts().at(-1)).toContain('de-1 is back')
  }, 180_000)
})
