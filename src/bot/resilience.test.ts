import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createBot } from '#src/bot/bot.ts'
import { tables } from '#src/store/drizzle.ts'
import { startPlayground } from '#src/playground/playground.ts'
import { systemRuntime } from '#src/runtime.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { type BotHouse, openBotHouse, TOKEN } from '#test/support/bot-house.ts'
import { createTempStore } from '#test/support/temp-store.ts'

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
  house.fleet.servers.setEnabled(1, false, { kind: 'system', id: 'test' })
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

test('a command to join again stays on the screen over a restart, until the server has joined', async () => {
  const { alice } = house
  const { id } = await house.join('de-1', 'main')
  await alice.sends(`/start srv_${id}`)
  await alice.seesScreen(/^Fleet › de-1/)
  await alice.taps('Edit')
  await alice.seesScreen('What do you want to change?')
  await alice.taps('Join command')
  const shown = await alice.seesScreen('Waiting for it to join')
  await house.kill()
  await house.revive()
  await house.bot.stop()
  expect(alice.screen().text).toBe(shown.text)
  await house.kill()
  await house.revive()
  house.fleet.noteJoined(id, 'https://de-1.example:8443')
  await alice.seesScreen(/^Fleet › de-1\n/)
})

describe('Telegram', () => {
  test('a rate limit is waited out; a tap is done once all the same', async () => {
    const { alice, telegram } = house
    await house.join('de-1', 'main')
    await alice.sends('/start')
    await alice.seesScreen('of 2 online')
    telegram.faults.rateLimit(2, 1, 'editMessageText')
    await alice.taps('Servers')
    await alice.seesScreen('Which server?')
  })

  test('what is tapped while Telegram breaks down is done when it is back', async () => {
    const { alice, telegram } = house
    await house.join('de-1', 'main')
    await alice.sends('/start')
    await alice.seesScreen('of 2 online')
    telegram.faults.down(true)
    await alice.taps('Servers')
    telegram.faults.down(false)
    await alice.seesScreen('Which server?')
  })

  test('an edit whose answer is lost is repeated without harm', async () => {
    const { alice, telegram } = house
    await house.join('de-1')
    await alice.sends('/start')
    await alice.seesScreen('of 2 online')
    telegram.faults.loseAnswers(1, 'editMessageText')
    await alice.taps('Servers')
    await alice.seesScreen('Which server?')
    await alice.taps('All servers')
    await alice.seesScreen('reachable now')
    expect(alice.messages().filter((message) => message.fromBot)).toHaveLength(1)
  })

  test('a wizard outlives an outage that is longer than three tries', async () => {
    const { alice } = house
    await house.join('de-1', 'main')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    house.breakCalls('editMessageText', 3)
    await alice.sends('hugo')
    await alice.seesScreen('On which servers?')
    await alice.until(() =>
      house.log.filter((line) => line.includes('could not be handled')).length === 3 ? true : undefined,
    )
    await alice.taps('All servers')
    await alice.seesScreen('Name: hugo')
  })

  test('a second poller is reported and outlived, and no log holds the token', async () => {
    const { alice, telegram } = house
    await house.join('de-1')
    await alice.sends('/start')
    await alice.seesScreen('of 2 online')
    const answer = await fetch(`${telegram.apiRoot}/bot${TOKEN}/getUpdates?timeout=1`)
    // Whoever polled later wins: the bot may have won already.
    expect([200, 409]).toContain(answer.status)
    await alice.sends('/help')
    await alice.seesScreen('/find anna')
    await alice.until(() =>
      house.log.some((line) => line.includes('another program polls')) ? true : undefined,
    )
    expect(house.log.join('\n')).not.toContain(TOKEN)
  })

  test('a message that was deleted is sent anew, and an old screen does not stay', async () => {
    const { alice, telegram } = house
    await house.join('de-1', 'main')
    await alice.sends('/start')
    const first = await alice.seesScreen('of 2 online')
    const query = `chat_id=7&message_id=${first.messageId}`
    await fetch(`${telegram.apiRoot}/bot${TOKEN}/deleteMessage?${query}`)
    await alice.tapsData(first.messageId, 'h')
    const second = await alice.seesScreen('of 2 online')
    expect(second.messageId).toBeGreaterThan(first.messageId)
    await alice.sends('/start')
    const third = await alice.seesScreen((message) => message.messageId > second.messageId)
    await alice.until(() =>
      alice.messages().some(({ messageId }) => messageId === second.messageId) ? undefined : true,
    )
    expect(third.text).toMatch(/^Fleet/)
  })

  test('a wrong token ends the start with what to do', async () => {
    const telegram = await startPlayground({ token: '1:right' })
    const store = createTempStore(0)
    const silent = (): void => undefined
    const bot = createBot({
      token: '1:wrong',
      apiRoot: telegram.apiRoot,
      owners: [],
      db: store.db(),
      box: secretBoxFor(Buffer.alloc(32)),
      fleet: house.fleet,
      runtime: systemRuntime(),
      log: { info: silent, warn: silent, error: silent },
    })
    await expect(bot.start()).rejects.toMatchObject({ code: 'TELEGRAM_TOKEN_REFUSED' })
    await bot.stop()
    await telegram.stop()
    store.remove()
  })
})

describe('buttons', () => {
  test('a double tap on a confirmation changes one thing once', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    await alice.sends(`/start srv_${server.id}`)
    await alice.seesScreen(/^Fleet › de-1/)
    await alice.taps('Restart Xray')
    const question = await alice.seesScreen('Restart Xray on de-1?')
    const [yes] = question.keyboard.flat()
    const data = yes !== undefined && 'callback_data' in yes ? yes.callback_data : ''
    await alice.tapsData(question.messageId, data)
    await alice.tapsData(question.messageId, data)
    await alice.waitsForAnswer()
    expect(alice.toast()).toContain('already')
    await alice.seesScreen('Done.')
    expect(house.nodeOf(server).applied.filter(({ operation }) => operation === 'xray.restart')).toHaveLength(
      1,
    )
  })

  test('a tap that was carried out but not marked, as after a kill, shows the same batch again', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    await alice.sends(`/start srv_${server.id}`)
    await alice.seesScreen(/^Fleet › de-1/)
    await alice.taps('Restart Xray')
    await alice.seesScreen('Restart Xray on de-1?')
    await alice.taps('Restart Xray')
    await alice.seesScreen('Done.')
    const db = house.db()
    // The state a kill leaves between the journal's commit and the marks on the nonce and the update.
    db.update(tables.taps).set({ usedAt: null }).run()
    const nonce = db.select().from(tables.taps).all().at(-1)?.nonce ?? ''
    await alice.tapsData(alice.screen().messageId, `d.${nonce}`)
    await alice.waitsForAnswer()
    await alice.seesScreen('Done.')
    expect(house.nodeOf(server).applied.filter(({ operation }) => operation === 'xray.restart')).toHaveLength(
      1,
    )
  })

  test('an old nonce says so and brings fresh buttons; another message’s nonce is refused', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    await alice.sends(`/start srv_${server.id}`)
    await alice.seesScreen(/^Fleet › de-1/)
    await alice.taps('Inbounds')
    await alice.seesScreen('1 inbound')
    await alice.taps('main')
    await alice.seesScreen('VLESS · TCP on port')
    await alice.taps('Disable')
    const question = await alice.seesScreen('Disable main on de-1?')
    const db = house.db()
    db.update(tables.taps).set({ expiresAt: 1 }).run()
    await alice.taps('Disable')
    await alice.waitsForAnswer()
    expect(alice.toast()).toContain('older than 10 minutes')
    await alice.seesScreen((screen) => JSON.stringify(screen.keyboard) !== JSON.stringify(question.keyboard))
    const nonce = db.select().from(tables.taps).all().at(-1)?.nonce ?? ''
    await alice.sends('/help')
    const help = await alice.seesScreen('/find anna')
    await alice.tapsData(help.messageId, `d.${nonce}`)
    await alice.waitsForAnswer()
    expect(alice.toast()).toContain('not yours')
    expect(house.fleet.view.inbounds(server.id)[0]?.enabled).toBe(true)
  })

  test('a status that changed under the picker loses no tap; a list that changed brings a fresh one', async () => {
    const { alice } = house
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']) await house.join(name)
    const last = house.fleet.servers.list().at(-1)
    await alice.sends('/servers')
    const first = await alice.seesScreen('Which server?')
    expect(first.text).toContain('(1/2)')
    await alice.taps('▶')
    await alice.seesScreen('(2/2)')
    house.fleet.servers.report(last?.id ?? 0, { status: 'offline' })
    await alice.taps('🟢 i')
    await alice.seesScreen(/^Fleet › i/)
    await alice.taps('Fleet')
    await alice.seesScreen(/🔴 \w+: offline/)
    await alice.taps('Servers')
    await alice.seesScreen('(1/2)')
    house.fleet.servers.remove(2, { kind: 'system', id: 'test' })
    await alice.taps('🟢 b')
    const fresh = await alice.seesScreen((screen) => !screen.buttons.flat().includes('🟢 a'))
    expect(fresh.text).toContain('Which server?')
  })

  test('a button of an earlier release is answered', async () => {
    const { alice } = house
    await house.join('de-1')
    await alice.sends('/start')
    const { messageId } = await alice.seesScreen('of 2 online')
    await alice.tapsData(messageId, 'zz.1')
    await alice.waitsForAnswer()
    expect(alice.toast()).toContain('earlier screen')
    await alice.tapsData(messageId, 's.zz')
    await alice.seesScreen('There is no server')
  })
})

describe('finding', () => {
  test('by /find, by typing on the list, and inline', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    const names = ['anna', 'bert', ...Array.from({ length: 10 }, (_, i) => `user${i}`)]
    const clients = names.map((name) => house.fleet.newClient(name))
    const targets = [{ serverId: server.id, input: { id: 'main', clients } }]
    const actor = { kind: 'system', id: 'test' } as const
    await (
      await house.fleet.tasks.run({ operation: 'clients.add', targets, actor })
    ).settled
    // The only one with that in the name, as `/server` does it; likewise one that is called just so.
    await alice.sends('/find ann')
    await alice.seesScreen('Clients › anna')
    await alice.sends('/find USER1')
    await alice.seesScreen('Clients › user1\n')
    await alice.sends('/find e')
    await alice.seesScreen('11 clients with this in the name: e')
    await alice.sends('user')
    await alice.seesScreen('10 clients with this in the name: user')
    await alice.taps('▶')
    await alice.seesScreen('(2/2)')
    await alice.taps('Show all')
    await alice.seesScreen('12 clients')
    await alice.taps('Disabled')
    await alice.seesScreen('No client is disabled.')
    const off = { email: 'bert', enabled: false }
    await (
      await house.fleet.tasks.run({
        operation: 'clients.update',
        targets: [{ serverId: server.id, input: off }],
        actor,
      })
    ).settled
    await alice.taps('All')
    await alice.seesScreen('12 clients')
    await alice.taps('Disabled')
    const disabled = await alice.seesScreen('1 client\n')
    expect(disabled.buttons.slice(0, 2)).toEqual([['⏸ bert · 0 B'], ['All', '• Disabled']])
    expect(await alice.searches('bert')).toMatchObject([
      { title: 'bert', input_message_content: { message_text: '/find bert' } },
    ])
  })
})

describe('a restart', () => {
  test('progress goes on where it stood, a joined server’s screen too, and failures can be retried', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    const release = house.nodeOf(server).hold()
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await alice.sends('gina')
    await alice.seesScreen('On which servers?')
    await alice.taps('All servers')
    await alice.seesScreen('Name: gina')
    await alice.taps('Create')
    const progress = await alice.seesScreen('Working…')
    await house.kill()
    house.nodeOf(server).failNext('XRAY_REFUSED', 1, { reason: 'bad <thing>' })
    release()
    await house.revive()
    const failed = await alice.sees('failed: 1')
    expect(failed.messageId).toBe(progress.messageId)
    expect(failed.text).toContain(
      '❌ de-1: Xray refused the configuration, so nothing was changed: bad <thing>.',
    )
    await alice.taps('Retry failed')
    await alice.sees('Done.')

    await alice.sends('/server')
    await alice.sees('What is the new server called?')
    await alice.sends('us-1')
    await alice.sees('Where is us-1?')
    await alice.taps('Skip')
    const join = await alice.sees('Waiting for it to join')
    await alice.taps('Back')
    await alice.sees((screen) => screen.buttons.flat().includes('Join command'))
    await alice.taps('Join command')
    await alice.sees('Waiting for it to join')
    const id = house.fleet.servers.list().find(({ name }) => name === 'us-1')?.id ?? 0
    await house.bot.stop()
    house.fleet.noteJoined(id, 'https://us-1.example:8443')
    await house.revive()
    const own = await alice.sees((screen) => screen.buttons.flat().includes('Inbounds'))
    expect(own.messageId).toBe(join.messageId)
    await alice.taps('Remove')
    await alice.sees('Remove us-1 from the fleet?')
    await alice.taps('Remove')
    await alice.sees('us-1 is no longer in the fleet')
    expect(house.fleet.servers.find(id)).toBeUndefined()
  })

  test('with Telegram away at the start, the bot comes up when it is back', async () => {
    const { alice, telegram } = house
    await house.kill()
    telegram.faults.down(true)
    await alice.sends('/start')
    await house.revive()
    expect(house.bot.username).toBe('')
    telegram.faults.down(false)
    await alice.seesScreen('Default Local Server')
    expect(house.bot.username).toBe('fleetgram_bot')
  })
})
