import { Api, GrammyError, InlineKeyboard, InputFile } from 'grammy'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemRuntime } from '../runtime.ts'
import { type Playground, startPlayground } from './playground.ts'
import type { User } from './user.ts'

const TOKEN = '4242:refusals-token'
/** A 1x1 PNG. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

let telegram: Playground
let api: Api
let alice: User
/** Ms added to the real clock. */
let later = 0

beforeEach(async () => {
  later = 0
  telegram = await startPlayground({
    token: TOKEN,
    runtime: { ...systemRuntime(), now: () => Date.now() + later },
  })
  api = new Api(TOKEN, { apiRoot: telegram.apiRoot })
  alice = telegram.user({ id: 7, firstName: 'Alice' })
  await alice.sends('/start')
})
afterEach(() => telegram.stop())

/** What Telegram said to a call it did not do; fails the test when it did it. */
async function refused(call: Promise<unknown>): Promise<string> {
  const error: unknown = await call.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  if (!(error instanceof GrammyError)) throw new Error(`expected a refusal, got ${String(error)}`)
  return `${error.error_code} ${error.description}`
}

const send = (text: string, other: Parameters<Api['sendMessage']>[2] = {}) => api.sendMessage(7, text, other)
const html = (text: string) => refused(send(text, { parse_mode: 'HTML' }))
const button = (value: object) =>
  refused(send('x', { reply_markup: { inline_keyboard: [[value]] } as unknown as InlineKeyboard }))

async function tapQuery(data = 'x'): Promise<string> {
  const { message_id } = await send('tap me', { reply_markup: new InlineKeyboard().text('Go', data) })
  const tap = await alice.tapsData(message_id, data)
  return tap.kind === 'callback' ? tap.queryId : ''
}

describe('text', () => {
  it('must be there', async () => {
    expect(await refused(send(''))).toBe('400 Bad Request: message text is empty')
  })
  it('must not be blank, nor blank once its tags are gone', async () => {
    expect(await refused(send(' \n '))).toBe('400 Bad Request: text must be non-empty')
    expect(await html('<b> </b>')).toBe('400 Bad Request: text must be non-empty')
  })
  it('has at most 4096 characters after its tags are gone', async () => {
    expect(await refused(send('x'.repeat(4097)))).toBe('400 Bad Request: message is too long')
    const full = await send(`<b>${'x'.repeat(4096)}</b>`, { parse_mode: 'HTML' })
    expect(full.text).toHaveLength(4096)
  })
  it('knows HTML and no Markdown', async () => {
    expect(await refused(send('*x*', { parse_mode: 'MarkdownV2' }))).toMatch(
      /^400 Bad Request: parse_mode Markdown/,
    )
    const made = { parse_mode: 'made-up' } as unknown as { parse_mode: 'HTML' }
    expect(await refused(send('x', made))).toBe('400 Bad Request: unsupported parse_mode')
  })
  it('has entities within it', async () => {
    expect(await refused(send('hello', { entities: [{ type: 'bold', offset: 100, length: 1 }] }))).toBe(
      '400 Bad Request: entity begins after the end of the text at UTF-16 offset 100',
    )
    expect(await refused(send('hello', { entities: [{ type: 'bold', offset: 0, length: 100 }] }))).toBe(
      '400 Bad Request: entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 100',
    )
  })
})

describe('HTML', () => {
  const parse = "400 Bad Request: can't parse entities: "
  it('has supported tags only', async () => {
    expect(await html('<script>x</script>')).toBe(`${parse}Unsupported start tag "script" at byte offset 0`)
    expect(await html('é <br>')).toBe(`${parse}Unsupported start tag "br" at byte offset 3`)
  })
  it('has every tag closed', async () => {
    expect(await html('<b>unclosed')).toBe(`${parse}Can't find end tag corresponding to start tag "b"`)
  })
  it('has tags closed in order', async () => {
    expect(await html('<b><i>test</b></i>')).toBe(
      `${parse}Unmatched end tag at byte offset 10, expected "</i>", found "</b>"`,
    )
    expect(await html('x</b>')).toBe(`${parse}Unexpected end tag at byte offset 1`)
  })
  it('has no stray <', async () => {
    expect(await html('a < b')).toBe(`${parse}Unsupported start tag "" at byte offset 2`)
    expect(await html('a <b')).toBe(`${parse}Unclosed start tag at byte offset 2`)
  })
  it('has spans for spoilers only, and whole attributes', async () => {
    expect(await html('<span class="red">x</span>')).toBe(
      `${parse}Tag "span" must have class "tg-spoiler" at byte offset 0`,
    )
    expect(await html('<a href=http://x.org/a>x</a>')).toMatch(/Unexpected end of name token at byte offset/)
    expect(await html('<a ="x">x</a>')).toBe(`${parse}Empty attribute name in the tag "a" at byte offset 0`)
  })
})

describe('captions and files', () => {
  it('a caption has at most 1024 characters', async () => {
    const photo = new InputFile(PIXEL, 'qr.png')
    expect(await refused(api.sendPhoto(7, photo, { caption: 'x'.repeat(1025) }))).toBe(
      '400 Bad Request: message caption is too long',
    )
  })
  it('a photo is an image', async () => {
    expect(await refused(api.sendPhoto(7, new InputFile(Buffer.from('text'), 'qr.png')))).toBe(
      '400 Bad Request: IMAGE_PROCESS_FAILED',
    )
  })
  it('a file is not empty, and there', async () => {
    expect(await refused(api.sendDocument(7, new InputFile(Buffer.alloc(0), 'a.txt')))).toBe(
      '400 Bad Request: file must be non-empty',
    )
    expect(await refused(api.sendDocument(7, 'nothing-like-this'))).toBe(
      '400 Bad Request: wrong file identifier/HTTP URL specified',
    )
    expect(await refused(api.sendPhoto(7, ''))).toBe('400 Bad Request: there is no photo in the request')
    expect(await refused(api.getFile('nothing-like-this'))).toBe('400 Bad Request: invalid file_id')
  })
})

describe('buttons', () => {
  const parse = "400 Bad Request: can't parse inline keyboard button: "
  it('callback data has at most 64 bytes', async () => {
    expect(await button({ text: 'x', callback_data: 'é'.repeat(33) })).toBe(
      '400 Bad Request: BUTTON_DATA_INVALID',
    )
    await send('x', { reply_markup: new InlineKeyboard().text('x', 'é'.repeat(32)) })
  })
  it('callback data that is empty is no action', async () => {
    expect(await button({ text: 'x', callback_data: '' })).toBe(
      `${parse}Text buttons are unallowed in the inline keyboard`,
    )
  })
  it('have a text', async () => {
    expect(await button({ callback_data: 'x' })).toBe(`${parse}Can't find field "text"`)
    expect(await button({ text: ' ', callback_data: 'x' })).toMatch(/text must be non-empty/)
  })
  it('do exactly one thing', async () => {
    expect(await button({ text: 'x' })).toBe(`${parse}Text buttons are unallowed in the inline keyboard`)
    expect(await button({ text: 'x', callback_data: 'x', url: 'https://x.org' })).toMatch(
      /Exactly one action/,
    )
  })
  it('copy 1 to 256 characters', async () => {
    expect(await button({ text: 'x', copy_text: { text: '' } })).toBe(
      '400 Bad Request: BUTTON_COPY_TEXT_INVALID',
    )
    expect(await button({ text: 'x', copy_text: { text: 'x'.repeat(257) } })).toBe(
      '400 Bad Request: BUTTON_COPY_TEXT_INVALID',
    )
  })
  it('open web addresses only', async () => {
    expect(await button({ text: 'x', url: 'vless://id@1.2.3.4:443' })).toBe(
      "400 Bad Request: inline keyboard button URL 'vless://id@1.2.3.4:443' is invalid: Unsupported URL protocol",
    )
    expect(await button({ text: 'x', url: 'http://localhost/' })).toBe(
      "400 Bad Request: inline keyboard button URL 'http://localhost/' is invalid: Wrong HTTP URL",
    )
  })
  it('are danger, success or primary', async () => {
    expect(await button({ text: 'x', callback_data: 'x', style: 'pink' })).toMatch(/Unsupported button style/)
    await send('x', { reply_markup: new InlineKeyboard().text('x', 'x').danger() })
  })
  it('number a hundred at most', async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, at) => [{ text: 'x', callback_data: `${at}` }])
    expect(await refused(send('x', { reply_markup: { inline_keyboard: many(101) } }))).toBe(
      '400 Bad Request: reply markup is too long',
    )
    await send('x', { reply_markup: { inline_keyboard: many(100) } })
  })
  it('that are disabled cannot be tapped', async () => {
    await send('x', { reply_markup: new InlineKeyboard().disabled('2/5') })
    await expect(alice.taps('2/5')).rejects.toThrow('is disabled')
  })
})

describe('editing and deleting', () => {
  it('an edit changes something', async () => {
    const { message_id } = await send('<b>x</b>', {
      parse_mode: 'HTML',
      reply_markup: new InlineKeyboard().text('a', 'a'),
    })
    const reply_markup = new InlineKeyboard().text('a', 'a')
    const same = api.editMessageText(7, message_id, '<b>x</b>', { parse_mode: 'HTML', reply_markup })
    expect(await refused(same)).toBe(
      '400 Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
    )
    expect(await refused(api.editMessageReplyMarkup(7, message_id, { reply_markup }))).toMatch(
      /message is not modified/,
    )
    await api.editMessageText(7, message_id, 'x', { reply_markup })
  })
  it('what is edited is there', async () => {
    expect(await refused(api.editMessageText(7, 999, 'x'))).toBe('400 Bad Request: message to edit not found')
  })
  it("what is edited is the bot's own", async () => {
    const theirs = await alice.sends('mine')
    expect(await refused(api.editMessageText(7, theirs.messageId, 'x'))).toBe(
      "400 Bad Request: message can't be edited",
    )
  })
  it('a text is edited as text, a caption as caption', async () => {
    const text = await send('x')
    const photo = await api.sendPhoto(7, new InputFile(PIXEL, 'qr.png'))
    expect(await refused(api.editMessageCaption(7, text.message_id, { caption: 'y' }))).toBe(
      '400 Bad Request: there is no caption in the message to edit',
    )
    expect(await refused(api.editMessageText(7, photo.message_id, 'y'))).toBe(
      '400 Bad Request: there is no text in the message to edit',
    )
  })
  it('what is deleted is there, and not old', async () => {
    expect(await refused(api.deleteMessage(7, 999))).toBe('400 Bad Request: message to delete not found')
    const { message_id } = await send('x')
    later = 48 * 3600 * 1000 + 2000
    expect(await refused(api.deleteMessage(7, message_id))).toBe(
      "400 Bad Request: message can't be deleted for everyone",
    )
  })
  it('what is pinned, reacted to and replied to is there', async () => {
    expect(await refused(api.pinChatMessage(7, 999))).toBe('400 Bad Request: message to pin not found')
    expect(await refused(api.unpinChatMessage(7))).toBe('400 Bad Request: message to unpin not found')
    expect(await refused(api.setMessageReaction(7, 999, []))).toBe(
      '400 Bad Request: message to react not found',
    )
    expect(await refused(send('x', { reply_parameters: { message_id: 999 } }))).toBe(
      '400 Bad Request: message to be replied not found',
    )
    await send('x', { reply_parameters: { message_id: 999, allow_sending_without_reply: true } })
  })
  it('a reaction is one Telegram has', async () => {
    const { message_id } = await send('x')
    const tick = [{ type: 'emoji', emoji: '✅' }] as unknown as Parameters<Api['setMessageReaction']>[2]
    expect(await refused(api.setMessageReaction(7, message_id, tick))).toBe(
      '400 Bad Request: REACTION_INVALID',
    )
  })
})

describe('callback queries', () => {
  const tooOld = '400 Bad Request: query is too old and response timeout expired or query ID is invalid'
  it('are answered once', async () => {
    const id = await tapQuery()
    await api.answerCallbackQuery(id)
    expect(await refused(api.answerCallbackQuery(id))).toBe(tooOld)
  })
  it('are answered in time', async () => {
    const id = await tapQuery()
    later = 20_000
    expect(await refused(api.answerCallbackQuery(id))).toBe(tooOld)
  })
  it('are answered in 200 characters', async () => {
    const id = await tapQuery()
    expect(await refused(api.answerCallbackQuery(id, { text: 'x'.repeat(201) }))).toBe(
      '400 Bad Request: MESSAGE_TOO_LONG',
    )
    await api.answerCallbackQuery(id, { text: 'x'.repeat(200) })
  })
  it('inline answers have at most 50 results', async () => {
    const results = Array.from({ length: 51 }, (_, at) => ({ type: 'article', id: `${at}`, title: 'x' }))
    const answer = api.answerInlineQuery('1', results as unknown as Parameters<Api['answerInlineQuery']>[1])
    expect(await refused(answer)).toBe('400 Bad Request: RESULTS_TOO_MUCH')
  })
})

describe('chats', () => {
  it('of people who never wrote to the bot are not found', async () => {
    telegram.user({ id: 8, firstName: 'Bob' })
    expect(await refused(api.sendMessage(8, 'hello?'))).toBe('400 Bad Request: chat not found')
    expect(await refused(api.getChat(9))).toBe('400 Bad Request: chat not found')
  })
  it('of people who blocked the bot are closed until they unblock it', async () => {
    alice.blocks()
    expect(await refused(send('hello?'))).toBe('403 Forbidden: bot was blocked by the user')
    alice.unblocks()
    await send('welcome back')
  })
  it('have no topics, and know their actions', async () => {
    expect(await refused(send('x', { message_thread_id: 5 }))).toBe(
      '400 Bad Request: message thread not found',
    )
    const dancing = 'dancing' as unknown as Parameters<Api['sendChatAction']>[1]
    expect(await refused(api.sendChatAction(7, dancing))).toBe(
      '400 Bad Request: wrong parameter action in request',
    )
  })
})

describe('commands', () => {
  it('number a hundred at most', async () => {
    const many = Array.from({ length: 101 }, (_, at) => ({ command: `c${at}`, description: 'x' }))
    expect(await refused(api.setMyCommands(many))).toBe('400 Bad Request: BOT_COMMANDS_TOO_MUCH')
  })
  it('are of a-z, 0-9 and _, and described', async () => {
    for (const command of ['Start', '/start', '', 'x'.repeat(33), 'add-client']) {
      expect(await refused(api.setMyCommands([{ command, description: 'x' }]))).toBe(
        '400 Bad Request: BOT_COMMAND_INVALID',
      )
    }
    expect(await refused(api.setMyCommands([{ command: 'x', description: '' }]))).toBe(
      '400 Bad Request: BOT_COMMAND_DESCRIPTION_INVALID',
    )
  })
})

describe('the API itself', () => {
  it('does not know another token', async () => {
    const stranger = new Api('4242:another-token', { apiRoot: telegram.apiRoot })
    expect(await refused(stranger.getMe())).toBe('401 Unauthorized')
    expect(await refused(new Api('nonsense', { apiRoot: telegram.apiRoot }).getMe())).toBe('404 Not Found')
  })
  it('does not know every method', async () => {
    expect(await refused(api.sendDice(7, '🎲'))).toBe('404 Not Found: method not found')
  })
  it('says 429 and how long to wait when told to', async () => {
    telegram.faults.rateLimit(1, 3)
    const error: unknown = await send('x').catch((cause: unknown) => cause)
    expect(error).toMatchObject({
      error_code: 429,
      description: 'Too Many Requests: retry after 3',
      parameters: { retry_after: 3 },
    })
    await send('x')
    telegram.faults.rateLimit(1, 3, 'editMessageText')
    await send('x')
    expect(await refused(api.editMessageText(7, 1, 'x'))).toMatch(/^429/)
  })
  it('ends the older of two polls with 409', async () => {
    await api
      .getUpdates({ offset: -1 })
      .then(([last]) => api.getUpdates({ offset: (last?.update_id ?? 0) + 1 }))
    const older = refused(api.getUpdates({ timeout: 30 }))
    const newer = api.getUpdates({ timeout: 30 })
    expect(await older).toBe(
      '409 Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
    )
    await alice.sends('still there?')
    expect(await newer).toHaveLength(1)
  })
})
