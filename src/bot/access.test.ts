import { Context } from 'grammy'
import type { Api } from 'grammy'
import type { Update, UserFromGetMe } from 'grammy/types'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { callNames, operationNames, roles } from '#src/contract/index.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { authorize, roleNeeded, spotOf, spotOfKey, whoIs } from './access.ts'
import type { Followers } from './batches.ts'
import { verbNames } from './callback-data.ts'
import { commandNames, createCommands } from './commands.ts'
import { needOf } from './routes/change.ts'
import { createRoutes } from './routes/index.ts'
import type { Services } from './services.ts'
import { createWizards } from './wizards/index.ts'

const context = (update: Partial<Update>): Context =>
  new Context({ update_id: 1, ...update } as Update, {} as Api, {} as UserFromGetMe)

describe('authorize', () => {
  test('each role may do what those before it may, and no more', () => {
    for (const [i, role] of roles.entries()) {
      for (const [j, need] of roles.entries()) expect(authorize({ role }, need)).toBe(i >= j)
    }
    expect(authorize({ role: 'viewer' }, 'clients.add')).toBe(false)
    expect(authorize({ role: 'operator' }, 'clients.add')).toBe(true)
  })

  test('every command, button, wizard and change names what it needs', async () => {
    const house = await openBotHouse()
    try {
      const s = { fleet: house.fleet, owners: [7] } as unknown as Services
      const nothing = (): Promise<void> => Promise.resolve()
      const routes = createRoutes(s, {} as Followers, nothing)
      const commands = createCommands(s, nothing)
      const needs = [
        ...verbNames.map((verb) => [`button ${verb}`, routes[verb].need] as const),
        ...commandNames.map((name) => [`/${name}`, commands[name].need] as const),
        ...Object.entries(createWizards(s)).map(([name, { need }]) => [`wizard ${name}`, need] as const),
        ...operationNames().map((operation) => [`operation ${operation}`, operation] as const),
        ...callNames().map((operation) => {
          const intent = { kind: 'tasks' as const, operation, targets: [] }
          return [`change ${operation}`, needOf(intent)] as const
        }),
      ]
      for (const [what, need] of needs) expect(roles, what).toContain(roleNeeded(need))
      // What changes something is never open to those who may only look.
      const mayLook = needs.filter(([, need]) => authorize({ role: 'viewer' }, need)).map(([what]) => what)
      const changing = /add|delete|remove|restart|toggle|edit|retry|join|update|stop/i
      expect(mayLook.filter((what) => changing.test(what))).toEqual([])
    } finally {
      await house.end()
    }
  })
})

describe('whoIs', () => {
  const from = { id: 7, is_bot: false, first_name: 'A' }
  const chat = { id: -1, type: 'supergroup' as const, title: 'x' }
  const message = { message_id: 1, date: 0, chat, from, text: 'x' }

  test('knows an owner by id alone, and nobody who speaks as a chat or is a bot', () => {
    expect(whoIs(context({ message } as Partial<Update>), [7])?.role).toBe('owner')
    expect(whoIs(context({ message } as Partial<Update>), [8])).toBeUndefined()
    const anonymous = { ...message, sender_chat: chat }
    expect(whoIs(context({ message: anonymous } as Partial<Update>), [7])).toBeUndefined()
    const bot = { ...message, from: { ...from, is_bot: true } }
    expect(whoIs(context({ message: bot } as Partial<Update>), [7])).toBeUndefined()
    expect(
      whoIs(context({ channel_post: { ...message, from: undefined } } as Partial<Update>), [7]),
    ).toBeUndefined()
  })

  test('in a group every person has a place of their own, in private there is one', () => {
    expect(spotOf(context({ message } as Partial<Update>))?.key).toBe('-1:0:7')
    const topic = { ...message, is_topic_message: true, message_thread_id: 5 }
    const spot = spotOf(context({ message: topic } as Partial<Update>))
    expect(spot).toEqual({ key: '-1:5:7', chatId: -1, threadId: 5 })
    expect(spotOfKey('-1:5:7')).toEqual(spot)
    expect(spotOfKey('7')).toEqual({ key: '7', chatId: 7, threadId: undefined })
  })
})

describe('a stranger', () => {
  let house: BotHouse
  beforeEach(async () => {
    house = await openBotHouse()
  })
  afterEach(() => house.end())

  test('gets one polite line for /start, and nothing for anything else, buttons included', async () => {
    const { alice, telegram } = house
    const mallory = telegram.user({ id: 66, firstName: 'Mallory' })
    await mallory.sends('/start')
    const line = await mallory.sees('private bot')
    expect(line.buttons).toEqual([])
    await mallory.sends('/start@other_bot')
    await mallory.sends('/add')
    await mallory.sends('/cancel')
    await mallory.sends('hello')
    await mallory.tapsData(line.messageId, 'h')
    await mallory.tapsData(line.messageId, 'server/0/0/1/f')
    const group = telegram.group({ id: -5, title: 'Both', members: [mallory, alice] })
    await alice.in(group).sends('/start')
    const screen = await alice.in(group).sees('Default Local Server')
    await mallory.in(group).sends('/start')
    await mallory.in(group).taps('Restart Xray')
    // What comes after all that has been handled, so all that has been too: the queues are in order.
    await alice.in(group).sends('/help')
    await alice.in(group).sees('/find anna')
    await mallory.sends('/start')
    await mallory.until(() => (mallory.notifications().length >= 2 ? true : undefined))
    expect(mallory.notifications().map(({ text }) => text)).toEqual([line.text, line.text])
    await expect(mallory.in(group).waitsForAnswer({ timeoutMs: 300 })).rejects.toThrow()
    expect(alice.in(group).notifications()).toHaveLength(2)
    expect(house.nodeOf({ id: 1 } as never).calls).not.toContain('xray.restart')
    expect(screen.text).not.toContain('private bot')
  })
})
