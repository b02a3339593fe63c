import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { downKey, enqueue, upKey } from '#src/notify/outbox.ts'
import { type Sender, createSender } from '#src/notify/sender.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { type FaultProxy, startFaultProxy } from '#test/support/fault-proxy.ts'
import { hurriedRuntime } from '#test/support/hurried-runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'

/** Two minutes of outage in six seconds: deadlines, back-offs and watchdogs are those of production. */
const HASTE = 20
const minutes = (count: number): Promise<unknown> => sleep((count * 60_000) / HASTE)

const runtime = hurriedRuntime(HASTE)
let house: BotHouse
let line: FaultProxy
let sender: Sender
let servers: Server[]

beforeEach(async () => {
  house = await openBotHouse({
    runtime,
    async through(apiRoot) {
      const { hostname, port } = new URL(apiRoot)
      line = await startFaultProxy({ target: { host: hostname, port: Number(port) } })
      return `http://${line.host}:${line.port}`
    },
  })
  house.fleet.servers.setEnabled(1, false, { kind: 'system', id: 'test' })
  servers = [await house.join('de-1', 'main'), await house.join('nl-1', 'main')]
  sender = createSender({
    db: house.db(),
    runtime,
    log: silentLog(),
    deliver: (message, signal) => house.bot.deliver(message, signal),
  })
  sender.start()
  // Telegram lets a bot write to nobody who has not written first.
  await house.alice.sends('/start')
  await house.alice.sees('online')
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  line.heal()
  await sender.stop()
  await house.end()
  await line.close()
})

/** As health does it when a server goes down, and when it is back. */
function alertDown(incident: number): void {
  const reason = { code: 'SERVER_TIMEOUT', details: { seconds: 10 } } as const
  const about = { serverId: servers[0]?.id ?? 0, serverName: `alert-${incident}` }
  const payload = { ...about, state: 'offline' as const, reason, since: runtime.now() }
  const key = downKey(incident)
  enqueue(house.db(), { chat: '7', key, kind: 'serverDown', payload, silent: false, now: runtime.now() })
  sender.wake()
}
function alertUp(incident: number): void {
  const about = { serverId: servers[0]?.id ?? 0, serverName: `alert-${incident}` }
  const payload = { ...about, downSince: runtime.now() - 60_000, upAt: runtime.now() }
  const key = upKey(incident)
  enqueue(house.db(), { chat: '7', key, kind: 'serverUp', payload, silent: true, now: runtime.now() })
  sender.wake()
}
const alerts = (): string[] =>
  house.alice.notifications().flatMap(({ text }) => text.match(/alert-\d+ is \w+/) ?? [])
const allSent = (): boolean =>
  house
    .db()
    .$client.prepare("select count(*) from outbox where status in ('queued', 'sending')")
    .pluck()
    .get() === 0

/** Up to the button that creates a client on all servers. */
async function asksFor(name: string): Promise<void> {
  const { alice } = house
  await alice.sends('/add')
  await alice.sees('What is the client called?')
  await alice.sends(name)
  await alice.sees('On which servers?')
  await alice.taps('All servers')
  await alice.sees(`Name: ${name}`)
}

/** Every server was told once, and holds the client once, under one UUID. */
function expectOnce(name: string): void {
  const held = servers.map((server) => {
    const node = house.nodeOf(server)
    expect(node.applied.filter(({ operation }) => operation === 'clients.add')).toHaveLength(1)
    return [...node.clients.values()].filter(({ email }) => email === name).map(({ uuid }) => uuid)
  })
  expect(held).toEqual([[held[0]?.[0]], [held[0]?.[0]]])
}

describe('asked for patience (429)', () => {
  test.each([
    ['for a moment', 2, 3],
    ['longer than any tap waits', 7, 15],
    ['for a minute at a time', 3, 60],
  ])('%s, in the middle of a change on all servers: its result is told', async (_, count, seconds) => {
    const { alice, telegram } = house
    const release = servers.map((server) => house.nodeOf(server).hold())
    await asksFor('anna')
    await alice.taps('Create')
    await alice.sees('Working… 0/2')
    telegram.faults.rateLimit(count, seconds, 'editMessageText')
    for (const go of release) go()
    await alice.sees('Done on 2 of 2.', { timeoutMs: 25_000 })
    expectOnce('anna')
  })

  test('alerts wait, and come once each, in their order', async () => {
    const { telegram } = house
    telegram.faults.rateLimit(3, 20, 'sendMessage')
    alertDown(1)
    alertDown(2)
    await house.alice.until(() => (alerts().length === 2 ? true : undefined))
    alertUp(2)
    await house.alice.until(() => (alerts().length === 3 ? true : undefined))
    expect(alerts()).toEqual(['alert-1 is offline', 'alert-2 is offline', 'alert-2 is back'])
  })
})

describe.each([
  ['refuses every connection', { type: 'reset' }],
  ['swallows everything', { type: 'halfOpen' }],
] as const)('a network to Telegram that %s for two minutes', (_, fault) => {
  test('loses no tap, no result and no alert, does nothing twice, and keeps the order', async () => {
    const { alice } = house
    await asksFor('bert')
    const release = servers.map((server) => house.nodeOf(server).hold())
    // One tap is being answered when the line goes; the next ones wait in Telegram.
    await alice.taps('Create')
    await alice.sees('Working… 0/2')
    await alice.taps((button) => 'callback_data' in button)
    line.set(fault)
    for (const go of release) go()
    alertDown(1)
    await alice.sends('/find bert')
    alertDown(2)
    await minutes(2)
    alertUp(2)
    expectOnce('bert')
    expect(alerts()).toEqual([])
    line.heal()
    await alice.sees('Clients › bert', { timeoutMs: 25_000 })
    await expect.poll(allSent, { timeout: 25_000 }).toBe(true)
    // The second outage was over before it could be told: one message says both.
    expect(alerts()).toEqual(['alert-1 is offline', 'alert-2 is back'])
    const failed = house.db().$client.prepare("select count(*) from update_inbox where status = 'failed'")
    expect(failed.pluck().get()).toBe(0)
    await alice.sends('/find nobody')
    await alice.sees('nobody')
    expectOnce('bert')
  }, 60_000)

  test('and the result of a change is told when it is over', async () => {
    const { alice } = house
    await asksFor('cleo')
    const release = servers.map((server) => house.nodeOf(server).hold())
    await alice.taps('Create')
    await alice.sees('Working… 0/2')
    line.set(fault)
    for (const go of release) go()
    await minutes(2)
    expect(alice.screen().text).toContain('Working… 0/2')
    line.heal()
    const told = await alice.sees('Done on 2 of 2.', { timeoutMs: 25_000 })
    expect(told.text).toContain('cleo')
    expectOnce('cleo')
  }, 60_000)
})

describe('answers that are lost after the call was carried out', () => {
  test.each(['sendMessage', 'editMessageText', 'answerCallbackQuery', 'deleteMessage'])(
    'of %s: no message is missing, and the change is made once',
    async (method) => {
      const { alice, telegram } = house
      for (const step of ['name', 'server', 'create']) {
        telegram.faults.loseAnswers(2, method)
        if (step === 'name') {
          await alice.sends('/add')
          await alice.seesScreen('What is the client called?')
          await alice.sends('dora')
          await alice.seesScreen('On which servers?')
        } else if (step === 'server') {
          await alice.taps('All servers')
          await alice.seesScreen('Name: dora')
        } else await alice.taps('Create')
      }
      await alice.seesScreen('Done on 2 of 2.', { timeoutMs: 25_000 })
      expectOnce('dora')
    },
  )

  test('of an alert: it is told again rather than not at all, and before the next', async () => {
    const { telegram } = house
    telegram.faults.loseAnswers(1, 'sendMessage')
    alertDown(1)
    alertDown(2)
    await expect.poll(allSent, { timeout: 25_000 }).toBe(true)
    expect([...new Set(alerts())]).toEqual(['alert-1 is offline', 'alert-2 is offline'])
    expect(alerts().at(-1)).toBe('alert-2 is offline')
  })
})
