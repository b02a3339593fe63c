import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BotHouse, openBotHouse, TOKEN } from '#test/support/bot-house.ts'
import { Api } from 'grammy'
import type { Outgoing } from '#src/notify/sender.ts'
import { deliver } from './deliver.ts'
import { loadLanguages } from './i18n/texts.ts'

let house: BotHouse
beforeEach(async () => {
  house = await openBotHouse()
})
afterEach(() => house.end())

const reason = { code: 'SERVER_UNREACHABLE' as const, details: { reason: 'connection <refused>' } }
const about = { serverId: 1, serverName: 'de & 1' }
const down: Outgoing = {
  kind: 'serverDown',
  payload: { ...about, state: 'offline', reason, since: Date.UTC(2030, 0, 1, 12) },
  chat: '7',
  silent: false,
}
const up: Outgoing = {
  kind: 'serverUp',
  payload: { ...about, downSince: 0, upAt: 2 * 60 * 60 * 1000 + 5 * 60 * 1000 },
  chat: '7',
  silent: true,
}

describe('deliver', () => {
  test('says what, why, since when; down is loud, recovery silent and with its length', async () => {
    const { alice, bot } = house
    await alice.sends('/start')
    await alice.seesScreen('Default Local Server')
    const first = await bot.deliver(down)
    expect(first).toMatchObject({ ok: true })
    const alert = await alice.sees('de & 1 is offline')
    expect(alert.text).toContain('connection <refused>')
    expect(alert.text).toContain('2030-01-01 12:00 UTC')
    expect(alert.buttons).toEqual([['Open server', 'Check now']])
    await bot.deliver(up)
    await alice.sees('It was away for 2 h 5 min')
    await bot.deliver({
      kind: 'serverDownAndUp',
      payload: { ...about, state: 'error', reason, downSince: 0, upAt: 60_000 },
      chat: '7',
      silent: true,
    })
    await alice.sees('Xray was down for 1 min')
    expect(alice.notifications().map(({ silent }) => silent)).toEqual([false, false, true, true])

    // The alert stays as it is; the server comes in a new message.
    await alice.taps('Check now')
    await alice.seesScreen(/^Default Local Server/)
    expect(house.checked).toEqual([1])
    expect((await alice.sees('de & 1 is offline')).buttons).toHaveLength(1)
  })

  test('changes that were not made are told by what they were, and why', async () => {
    const { alice, bot, fleet } = house
    await alice.sends('/start')
    await alice.seesScreen('Default Local Server')
    const input = { id: 'main', clients: [fleet.newClient('anna <b>')] }
    const actor = { kind: 'telegram', id: '7', chat: '7' } as const
    const asked = await fleet.tasks.run({
      operation: 'clients.add',
      targets: [{ serverId: 1, input }],
      actor,
    })
    const [task] = await asked.settled
    const refused = { code: 'INBOUND_NOT_FOUND' as const, details: { inbound: 'main' } }
    const changes = [{ batch: asked.id, task: task?.id ?? '', reason: refused }]
    const payload = { ...about, changes, count: 12 }
    await bot.deliver({ kind: 'changesRefused', payload, chat: '7', silent: false })
    const told = await alice.sees('12 changes were not made on de & 1')
    expect(told.text).toContain('❌ Adding anna <b>: There is no inbound main on this server')
    expect(told.text).toContain('11 more')
    expect(told.buttons).toEqual([['Open server']])
  })

  test('an inbound that is closed is no outage', async () => {
    const { alice, bot } = house
    await alice.sends('/start')
    await alice.seesScreen('Default Local Server')
    const state = 'partly' as const
    const closed = {
      code: 'XRAY_PARTLY' as const,
      details: { reason: 'the inbound main is closed: port 443 is in use' },
    }
    const payload = { ...about, state, reason: closed, since: 0 }
    await bot.deliver({ kind: 'serverDown', payload, chat: '7', silent: true })
    const alert = await alice.sees('Xray runs on de & 1, but not all of it works')
    expect(alert.text).toContain('the inbound main is closed: port 443 is in use')
    await bot.deliver({ ...up, payload: { ...about, state, downSince: 0, upAt: 60_000 } } as Outgoing)
    expect((await alice.sees('Everything works on de & 1 again')).text).toContain('for 1 min')
    const both = { ...about, state, reason: closed, downSince: 0, upAt: 60_000 }
    await bot.deliver({ kind: 'serverDownAndUp', payload: both, chat: '7', silent: true })
    await alice.sees('Not all of it worked for 1 min, from')
    expect(alice.messages().some(({ text }) => /down|away|is back/.test(text))).toBe(false)
  })

  test('a reason of any length leaves room for the rest', async () => {
    const { alice, bot } = house
    await alice.sends('/start')
    await alice.seesScreen('Default Local Server')
    const long = { ...reason, details: { reason: '<held back & '.repeat(1_000) } }
    await bot.deliver({ ...down, payload: { ...down.payload, reason: long } } as Outgoing)
    const alert = await alice.sees('de & 1 is offline')
    expect(alert.text).toContain('<held back & <held back & ')
    expect(alert.text).toContain('Clients may still be connected')
  })

  test('what Telegram refuses to take comes short and plain; if it does not take that either, it is final', async () => {
    const { alice, bot, telegram } = house
    await alice.sends('/start')
    await alice.seesScreen('Default Local Server')
    // Longer than a message may be.
    const endless = { ...down, payload: { ...down.payload, serverName: 'x'.repeat(5_000) } } as Outgoing
    expect(await bot.deliver(endless)).toMatchObject({ ok: true })
    const alert = await alice.sees('🔴 xxx')
    expect(alert.text.length).toBeLessThan(500)

    const calls: Record<string, unknown>[] = []
    const api = new Api(TOKEN, { apiRoot: telegram.apiRoot })
    api.config.use((_prev, _method, payload) => {
      calls.push(payload)
      return Promise.resolve({ ok: false, error_code: 400, description: "Bad Request: can't parse entities" })
    })
    const languages = loadLanguages()
    const delivery = await deliver({
      api,
      fleet: house.fleet,
      languages,
      languageOf: () => 'en',
      message: down,
    })
    expect(delivery).toEqual({ ok: false, gone: "Bad Request: can't parse entities" })
    expect(calls).toMatchObject([{ parse_mode: 'HTML' }, { text: '🔴 de & 1 is offline' }])
    expect(calls[1]).not.toHaveProperty('parse_mode')
  })

  test('a rate limit goes back to the outbox, a blocked bot is final, a dead network is thrown', async () => {
    const { alice, bot, telegram } = house
    await alice.sends('/start')
    await alice.seesScreen('Default Local Server')
    telegram.faults.rateLimit(1, 17, 'sendMessage')
    expect(await bot.deliver(down)).toEqual({ ok: false, retryAfterMs: 17_000 })
    expect(await bot.deliver({ ...down, chat: '999' })).toMatchObject({
      ok: false,
      gone: expect.stringMatching('chat not found'),
    })
    alice.blocks()
    expect(await bot.deliver(down)).toMatchObject({ ok: false, gone: expect.stringMatching('blocked') })
    telegram.faults.down(true)
    await expect(bot.deliver(down)).rejects.toThrow()
    expect(house.log.join('\n')).not.toContain(TOKEN)
  })
})
