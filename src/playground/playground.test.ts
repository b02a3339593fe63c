import { Api, Bot, InlineKeyboard, InputFile } from 'grammy'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Playground, startPlayground } from './playground.ts'
import type { User } from './user.ts'

const TOKEN = '4243:end-to-end-token'
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

let telegram: Playground
let alice: User
const running: Bot[] = []

beforeEach(async () => {
  telegram = await startPlayground({ token: TOKEN })
  alice = telegram.user({ id: 7, firstName: 'Alice', username: 'alice', languageCode: 'en' })
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((bot) => bot.stop()))
  await telegram.stop()
})

function newBot(): Bot {
  return new Bot(TOKEN, { client: { apiRoot: telegram.apiRoot } })
}

async function run(bot: Bot): Promise<void> {
  running.push(bot)
  await new Promise<void>((resolve, reject) => {
    bot.start({ onStart: () => resolve() }).catch(reject)
  })
}

describe('a real grammY bot', () => {
  it('greets, is tapped, edits, sends a photo, and a file goes both ways', async () => {
    const bot = newBot()
    let received: Buffer | undefined
    bot.command('start', (ctx) =>
      ctx.reply(`Hello <b>${ctx.from?.first_name}</b>, ${ctx.match}`, {
        parse_mode: 'HTML',
        reply_markup: new InlineKeyboard().text('Show QR', 'qr').row().text('Delete', 'del').danger(),
      }),
    )
    bot.callbackQuery('qr', async (ctx) => {
      await ctx.answerCallbackQuery('Here it is')
      await ctx.editMessageText('Your QR is below')
      await ctx.replyWithPhoto(new InputFile(PIXEL, 'qr.png'), {
        caption: 'Scan <i>me</i>',
        parse_mode: 'HTML',
      })
      await ctx.replyWithDocument(new InputFile(Buffer.from('{}'), 'config.json'), {
        disable_notification: true,
      })
    })
    bot.on('message:document', async (ctx) => {
      const file = await ctx.getFile()
      const answer = await fetch(`${telegram.apiRoot}/file/bot${TOKEN}/${file.file_path}`)
      received = Buffer.from(await answer.arrayBuffer())
      await ctx.react('👍')
      await ctx.reply('Thanks')
    })
    await run(bot)

    await alice.sends('/start abc')
    const hello = await alice.sees('Hello Alice')
    expect(hello).toMatchObject({
      text: 'Hello Alice, abc',
      buttons: [['Show QR'], ['Delete']],
      html: 'Hello <b>Alice</b>, abc',
    })
    expect(hello.entities).toEqual([{ type: 'bold', offset: 6, length: 5 }])
    expect(alice.messages()[0]?.entities).toEqual([{ type: 'bot_command', offset: 0, length: 6 }])
    expect(alice.screen().messageId).toBe(hello.messageId)
    await expect(alice.taps('Restart')).rejects.toThrow(/No button "Restart"[^]*\[Show QR\][^]*\[Delete\]/)

    await alice.taps('QR')
    expect(await alice.waitsForAnswer()).toEqual({ text: 'Here it is', alert: false })
    expect(alice.toast()).toBe('Here it is')
    const edited = await alice.sees('Your QR is below')
    expect(edited).toMatchObject({ messageId: hello.messageId, buttons: [], edited: true })
    await alice.sees((message) => message.document !== undefined)
    expect(await alice.sees('Scan me')).toMatchObject({
      entities: [{ type: 'italic', offset: 5, length: 2 }],
    })
    expect(alice.photo().equals(PIXEL)).toBe(true)
    expect(alice.document()).toEqual({ name: 'config.json', bytes: Buffer.from('{}') })
    expect(alice.notifications().map(({ text, silent }) => [text, silent])).toEqual([
      ['Hello Alice, abc', false],
      ['Scan me', false],
      ['', true],
    ])

    const sent = await alice.sendsDocument('backup.json', Buffer.from('{"a":1}'))
    await alice.sees('Thanks')
    expect(received?.toString()).toBe('{"a":1}')
    expect(alice.messages().find(({ messageId }) => messageId === sent.messageId)?.reactions).toEqual(['👍'])
  })

  it('edits a photo in, pins, deletes: the history follows', async () => {
    const api = new Api(TOKEN, { apiRoot: telegram.apiRoot })
    await alice.sends('/start')
    const { message_id } = await api.sendMessage(7, 'text')
    await api.pinChatMessage(7, message_id)
    await api.editMessageMedia(7, message_id, {
      type: 'photo',
      media: new InputFile(PIXEL, 'q.png'),
      caption: 'now a photo',
    })
    expect(alice.pinned()).toMatchObject({ messageId: message_id, text: 'now a photo' })
    expect(alice.photo().equals(PIXEL)).toBe(true)
    await api.editMessageCaption(7, message_id, {
      caption: 'new caption',
      reply_markup: new InlineKeyboard().text('a', 'a'),
    })
    expect(alice.screen()).toMatchObject({ text: 'new caption', buttons: [['a']] })
    await api.editMessageReplyMarkup(7, message_id)
    expect(alice.screen()).toMatchObject({ text: 'new caption', buttons: [] })
    await api.deleteMessages(7, [message_id, 1])
    expect(alice.messages()).toEqual([])
    expect((await api.sendMessage(7, 'next')).message_id).toBe(3)
  })

  it('works in a group, where privacy mode leaves small talk to people', async () => {
    const bob = telegram.user({ id: 8, firstName: 'Bob' })
    const group = telegram.group({ id: -1001, title: 'Admins', members: [alice, bob] })
    const bot = newBot()
    const heard: string[] = []
    bot.on('message:text', async (ctx) => {
      heard.push(`${ctx.from.first_name}: ${ctx.message.text}`)
      await ctx.reply('menu', { reply_markup: new InlineKeyboard().text('Who', 'who') })
    })
    bot.callbackQuery('who', (ctx) =>
      ctx.answerCallbackQuery({ text: ctx.from.first_name, show_alert: true }),
    )
    await run(bot)
    await bob.in(group).sends('nice weather')
    await bob.in(group).sends('/menu')
    await bob.in(group).sees('menu')
    await alice.in(group).taps('Who')
    await bob.in(group).taps('Who')
    expect(await bob.in(group).until(() => bob.in(group).toast())).toBe('Bob')
    expect(await alice.in(group).until(() => alice.in(group).toast())).toBe('Alice')
    expect(heard).toEqual(['Bob: /menu'])
    expect(alice.messages()).toEqual([])
  })

  it('answers an inline search', async () => {
    const bot = newBot()
    bot.on('inline_query', (ctx) =>
      ctx.answerInlineQuery([
        {
          type: 'article',
          id: '1',
          title: ctx.inlineQuery.query,
          input_message_content: { message_text: 'x' },
        },
      ]),
    )
    await run(bot)
    expect(await alice.searches('de-1')).toMatchObject([{ title: 'de-1' }])
  })
})

describe('updates', () => {
  it('that were not confirmed come again', async () => {
    const api = new Api(TOKEN, { apiRoot: telegram.apiRoot })
    await alice.sends('one')
    await alice.sends('two')
    const first = await api.getUpdates({ limit: 1 })
    expect(first.map((update) => update.message?.text)).toEqual(['one'])
    const again = await api.getUpdates()
    expect(again.map((update) => update.message?.text)).toEqual(['one', 'two'])
    const rest = await api.getUpdates({ offset: (again[0]?.update_id ?? 0) + 1 })
    expect(rest.map((update) => update.message?.text)).toEqual(['two'])
  })

  it('come again after the poller was cut while it held them', async () => {
    const cut = new AbortController()
    const held = fetch(`${telegram.apiRoot}/bot${TOKEN}/getUpdates?timeout=30`, { signal: cut.signal })
    const first = await Promise.all([held, alice.sends('tap during the kill')])
    expect(first[0].status).toBe(200)
    cut.abort()

    const seen: string[] = []
    const bot = newBot()
    bot.on('message:text', (ctx) => {
      seen.push(ctx.message.text)
      return ctx.reply('done')
    })
    await run(bot)
    await alice.sees('done')
    expect(seen).toEqual(['tap during the kill'])
  })

  it('do not count a hung-up poller as a second one', async () => {
    const cut = new AbortController()
    const dead = fetch(`${telegram.apiRoot}/bot${TOKEN}/getUpdates?timeout=30`, { signal: cut.signal })
    await new Promise((resolve) => setTimeout(resolve, 100))
    cut.abort()
    await expect(dead).rejects.toThrow()
    const bot = newBot()
    bot.on('message', (ctx) => ctx.reply('alive'))
    await run(bot)
    await alice.sends('hello')
    await alice.sees('alive')
  })

  it('are those the bot asked for', async () => {
    const api = new Api(TOKEN, { apiRoot: telegram.apiRoot })
    await api.getUpdates({ allowed_updates: ['callback_query'] })
    await alice.sends('not wanted')
    expect(await api.getUpdates()).toEqual([])
    expect(await api.getWebhookInfo()).toMatchObject({
      allowed_updates: ['callback_query'],
      pending_update_count: 0,
    })
    await api.getUpdates({ allowed_updates: [] })
    await alice.sends('wanted')
    alice.blocks()
    expect(await api.getUpdates()).toMatchObject([{ message: { text: 'wanted' } }, { my_chat_member: {} }])
    await api.deleteWebhook({ drop_pending_updates: true })
    expect(await api.getUpdates()).toEqual([])
  })
})

describe('faults', () => {
  it('down: sockets break and polls with them; afterwards everything is still there', async () => {
    const api = new Api(TOKEN, { apiRoot: telegram.apiRoot })
    const poll = api.getUpdates({ timeout: 30 })
    const broken = expect(poll).rejects.toThrow('Network request')
    await new Promise((resolve) => setTimeout(resolve, 100))
    telegram.faults.down(true)
    await broken
    await expect(api.getMe()).rejects.toThrow('Network request')
    await alice.sends('/start')
    telegram.faults.down(false)
    expect(await api.getUpdates()).toHaveLength(1)
  })

  it('lost answers: the message is there, the sender does not know', async () => {
    const api = new Api(TOKEN, { apiRoot: telegram.apiRoot })
    await alice.sends('/start')
    telegram.faults.loseAnswers(1, 'sendMessage')
    await expect(api.sendMessage(7, 'did you get this?')).rejects.toThrow('Network request')
    expect(alice.messages().map(({ text }) => text)).toEqual(['/start', 'did you get this?'])
  })
})

describe('requests', () => {
  it('may be JSON, a form, a query string or multipart, with any case in the method', async () => {
    await alice.sends('/start')
    const base = `${telegram.apiRoot}/bot${TOKEN}`
    const form = new FormData()
    form.set('chat_id', '7')
    form.set('text', 'multipart')
    const markup = JSON.stringify({ inline_keyboard: [[{ text: 'a', callback_data: 'a' }]] })
    await fetch(`${base}/sendmessage?chat_id=7&text=query`)
    await fetch(`${base}/SendMessage`, {
      method: 'POST',
      body: new URLSearchParams({ chat_id: '7', text: 'form', reply_markup: markup }),
    })
    await fetch(`${base}/sendMessage`, { method: 'POST', body: form })
    expect(alice.messages().map(({ text }) => text)).toEqual(['/start', 'query', 'form', 'multipart'])
    expect(alice.screen().buttons).toEqual([['a']])
  })

  it('a user never sees what has not come: the error shows the chat', async () => {
    await expect(alice.sees('never', { timeoutMs: 50 })).rejects.toThrow(/within 50 ms[^]*the chat is empty/)
  })
})

describe('commands of the bot', () => {
  it('are kept by scope and language', async () => {
    const api = new Api(TOKEN, { apiRoot: telegram.apiRoot })
    const commands = [{ command: 'start', description: 'Open the fleet' }]
    await api.setMyCommands(commands, { scope: { type: 'all_private_chats' }, language_code: 'en' })
    expect(await api.getMyCommands({ scope: { type: 'all_private_chats' }, language_code: 'en' })).toEqual(
      commands,
    )
    expect(await api.getMyCommands()).toEqual([])
    await api.deleteMyCommands({ scope: { type: 'all_private_chats' }, language_code: 'en' })
    expect(await api.getMyCommands({ scope: { type: 'all_private_chats' }, language_code: 'en' })).toEqual([])
    await api.setMyDescription('What can this bot do?')
    await api.setMyShortDescription('A fleet in a chat')
    expect(await api.getMyDescription()).toEqual({ description: 'What can this bot do?' })
  })
})
