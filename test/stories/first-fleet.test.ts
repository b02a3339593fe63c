import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { xrayPaths } from '#src/xray/life/process.ts'
import {
  addsInboundEverywhere,
  asksForClientEverywhere,
  asksForInboundEverywhere,
  joins,
  linksIn,
  opensClient,
} from '#test/support/chat.ts'
import { type World, createWorld } from '#test/support/world.ts'

let world: World
let links: string[] = []
let hidden: string[] = []

beforeAll(async () => {
  world = await createWorld()
  await world.startController()
})
afterAll(() => world.stop())

const alerts = (): string[] =>
  world.alice
    .notifications()
    .map(({ text }) => text)
    .filter((text) => /nl-1 is (offline|back)/.test(text))

// One day in the life of a fleet; each part goes on where the one before ended.
describe('from an empty chat to traffic on three servers', () => {
  test('a fresh start has one server and asks for none', async () => {
    const { alice } = world
    await alice.sends('/start')
    const home = await alice.sees(/Default Local Server[\s\S]*Online/)
    expect(home.buttons.flat()).not.toContain('Servers')
    await alice.taps('Inbounds')
    await alice.sees('No inbound yet')
  })

  test('two machines join by one pasted command each', async () => {
    await joins(world, 'de-1')
    await joins(world, 'nl-1')
    await world.alice.sends('/start')
    await world.alice.sees('3 of 3 online')
  }, 120_000)

  test('an inbound and a client on all servers; every link carries traffic, and the card shows the bytes', async () => {
    const { alice } = world
    await addsInboundEverywhere(alice, { tag: 'main', port: 8444 })
    await alice.sees('Done on 3 of 3.')
    await asksForClientEverywhere(alice, 'anna')
    await alice.taps('Create')
    links = linksIn(await alice.sees(/anna[\s\S]*Done on 3 of 3\./))
    expect(links).toHaveLength(3)
    const picture = (): true | undefined =>
      alice.messages().some((message) => message.photo !== undefined) || undefined
    await alice.taps('QR · de-1')
    await alice.until(picture, { what: 'a QR picture' })
    expect(alice.photo().subarray(1, 4).toString()).toBe('PNG')

    for (const link of links) {
      const page = await (await world.app(link)).get(world.site.pageUrl)
      expect(page.body).toBe(world.site.pageText)
    }
    // Counters are read every 10 s and travel with the next look at the server.
    const wanted = 3 * world.site.pageText.length
    const giveUpAt = Date.now() + 40_000
    let shown = 0
    while (shown < wanted && Date.now() < giveUpAt) {
      const card = await opensClient(alice, 'anna')
      const [, amount = '0', unit = 'B'] = /↓ ([\d.]+) (\w+)/.exec(card.text) ?? []
      shown = Number(amount) * (unit === 'B' ? 1 : 1_000)
      await sleep(1_000)
    }
    expect(shown).toBeGreaterThanOrEqual(wanted)
  }, 120_000)

  test('an agent away for 20 s is not worth a word', async () => {
    const agent = world.machine('nl-1').program
    await agent.kill()
    await sleep(20_000)
    agent.start()
    await agent.says(/ready|listening/i)
    await sleep(8_000)
    expect(alerts()).toEqual([])
  }, 90_000)

  test('away for longer: one alert; a client for all servers waits for it, over a restart of the controller; one all-clear', async () => {
    const { alice } = world
    const agent = world.machine('nl-1').program
    await agent.kill()
    await alice.sees('nl-1 is offline', { timeoutMs: 60_000 })
    expect(alerts()).toHaveLength(1)

    await asksForClientEverywhere(alice, 'bert')
    await alice.taps('Create')
    const result = await alice.sees(/Done: 2 · waiting: 1/)
    expect(result.text).toMatch(/✅ Default Local Server\n✅ de-1\n⏳ nl-1/)

    await world.controller.program.kill()
    await world.startController()
    await sleep(6_000)
    expect(alerts()).toHaveLength(1)

    agent.start()
    await alice.sees(/nl-1 is back/, { timeoutMs: 60_000 })
    const card = await opensClient(alice, 'bert')
    const [link] = linksIn(card).filter((text) => text.includes(world.machine('nl-1').address))
    await expect
      .poll(
        async () => (await (await world.app(link ?? '')).get(world.site.pageUrl).catch(() => null))?.body,
        {
          timeout: 20_000,
        },
      )
      .toBe(world.site.pageText)
    await sleep(5_000)
    expect(alerts().map((text) => /nl-1 is \w+/.exec(text)?.[0])).toEqual(['nl-1 is offline', 'nl-1 is back'])
  }, 180_000)

  test('a client deleted everywhere opens no new connection anywhere', async () => {
    const { alice } = world
    await opensClient(alice, 'anna')
    await alice.taps('Delete')
    await alice.sees('Delete anna everywhere?')
    await alice.taps('Delete')
    await alice.sees(/anna is deleted[\s\S]*Done on 3 of 3\./)
    for (const link of links) {
      await expect((await world.app(link)).get(world.site.pageUrl)).rejects.toThrow()
    }
  }, 60_000)

  test('a stranger gets one polite line for /start, and nothing for anything else', async () => {
    const mallory = world.playground.user({ id: 666, firstName: 'Mallory' })
    await mallory.sends('/start')
    await mallory.sees('This is a private bot')
    await mallory.sends('/servers')
    await mallory.sends('hello?')
    await mallory.sends('/start')
    await sleep(3_000)
    expect(mallory.notifications().length).toBeLessThanOrEqual(2)
    expect(mallory.notifications().every(({ text }) => text.startsWith('This is a private bot'))).toBe(true)
  })

  test('an inbound with REALITY on all servers, and a client in it', async () => {
    const { alice } = world
    await asksForInboundEverywhere(alice, {
      tag: 'hidden',
      port: 8445,
      reality: { template: 'VLESS + REALITY', site: 'site.example' },
    })
    await alice.taps('Create')
    await alice.sees('Done on 3 of 3.')
    await asksForClientEverywhere(alice, 'rita', 'hidden')
    await alice.taps('Create')
    hidden = linksIn(await alice.sees(/rita[\s\S]*Done on 3 of 3\./))
    expect(hidden).toHaveLength(3)
  }, 60_000)

  test('no secret is in any log of the day', async () => {
    const logs = world.logs()
    const machines = [world.controller, ...['de-1', 'nl-1'].map((name) => world.machine(name))]
    const configs = await Promise.all(
      machines.map(({ dir }) => readFile(xrayPaths(join(dir, 'xray')).config, 'utf8')),
    )
    const keys = configs.map((config) => /"privateKey":\s*"([\w-]{43})"/.exec(config)?.[1] ?? '')
    expect(new Set(keys).size).toBe(3)
    expect(logs).toContain('fleetgram is ready')
    const uuids = [...links, ...hidden].map((link) => /vless:\/\/([^@]+)@/.exec(link)?.[1] ?? '')
    const tokens = world.alice
      .notifications()
      .flatMap(({ text }) => text.match(/fg1\.\S+/g) ?? [])
      .map((token) => token.replace(/'$/, '').split('.').at(-1) ?? '')
    for (const secret of [world.token, ...uuids, ...tokens, ...keys, 'PRIVATE KEY', 'vless://']) {
      expect(secret.length).toBeGreaterThan(5)
      expect(logs).not.toContain(secret)
    }
  })
})
