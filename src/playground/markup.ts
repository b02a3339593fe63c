import type { InlineKeyboardButton, InlineKeyboardMarkup } from 'grammy/types'
import { whyNotLink } from './links.ts'
import { isRecord } from './params.ts'
import { badRequest } from './refusal.ts'

/** Bot API limits. */
const CALLBACK_DATA_BYTES = 64
const COPY_TEXT_LENGTH = 256
const BUTTON_LIMIT = 100
/** Not in the reference, but met in the field: a keyboard of more than about 10 kB of JSON is refused as a whole. */
const MARKUP_BYTES = 10_000

const STYLES = new Set<unknown>(['danger', 'success', 'primary'])
const ACTIONS = [
  'callback_data',
  'url',
  'copy_text',
  'disabled',
  'web_app',
  'login_url',
  'switch_inline_query',
  'switch_inline_query_current_chat',
  'switch_inline_query_chosen_chat',
  'callback_game',
  'pay',
] as const

/**
 * Checks `reply_markup` as Telegram does. Returns the inline keyboard, or undefined when there is none (or an empty
 * one, which is none to Telegram). `remove_keyboard` and `force_reply` are taken where a message is sent.
 */
export function readMarkup(value: unknown, allowReplyMarkup: boolean): InlineKeyboardMarkup | undefined {
  if (value === undefined) return undefined
  if (!isRecord(value)) throw badRequest('object expected as reply markup')
  if (value['inline_keyboard'] === undefined) {
    if (allowReplyMarkup && (value['remove_keyboard'] === true || value['force_reply'] === true))
      return undefined
    if (value['keyboard'] !== undefined) {
      throw badRequest('reply keyboards are not supported here: this playground shows inline keyboards only')
    }
    if (Object.keys(value).length === 0) return undefined
    throw badRequest('inline keyboard expected')
  }
  const rows: unknown = value['inline_keyboard']
  if (!Array.isArray(rows)) throw badRequest('field "inline_keyboard" must be of type Array')
  const keyboard: InlineKeyboardButton[][] = []
  for (const row of rows as unknown[]) {
    if (!Array.isArray(row)) throw badRequest("can't parse inline keyboard button: expected an Array")
    if (row.length > 0) keyboard.push(row.map((button: unknown) => readButton(button)))
  }
  const count = keyboard.reduce((sum, row) => sum + row.length, 0)
  const bytes = Buffer.byteLength(JSON.stringify(keyboard))
  if (count > BUTTON_LIMIT || bytes > MARKUP_BYTES) throw badRequest('reply markup is too long')
  return keyboard.length === 0 ? undefined : { inline_keyboard: keyboard }
}

function readButton(value: unknown): InlineKeyboardButton {
  if (!isRecord(value)) throw refuse('expected an Object')
  const text = value['text']
  if (text === undefined) throw refuse('Can\'t find field "text"')
  if (typeof text !== 'string') throw refuse('Field "text" must be of type String')
  // Telegram's wording for this one is not published; the text is required by the reference.
  if (text.trim() === '') throw badRequest('inline keyboard button text must be non-empty')
  const style = value['style']
  // Likewise for a style that does not exist and for a second action.
  if (style !== undefined && !STYLES.has(style)) throw refuse('Unsupported button style specified')
  const actions = ACTIONS.filter((name) => value[name] !== undefined && !isBlankCallback(name, value[name]))
  const [action, second] = actions
  if (action === undefined) throw refuse('Text buttons are unallowed in the inline keyboard')
  if (second !== undefined) throw refuse(`Exactly one action is allowed, found ${actions.join(' and ')}`)
  checkAction(action, value[action])
  return value as unknown as InlineKeyboardButton
}

/** Telegram reads empty callback data as none, so that the button is left without an action. */
function isBlankCallback(name: string, value: unknown): boolean {
  return (name === 'callback_data' || name === 'url') && value === ''
}

function checkAction(action: (typeof ACTIONS)[number], value: unknown): void {
  if (action === 'callback_data') {
    if (typeof value !== 'string') throw refuse('Field "callback_data" must be of type String')
    if (Buffer.byteLength(value) > CALLBACK_DATA_BYTES) throw badRequest('BUTTON_DATA_INVALID')
  } else if (action === 'copy_text') {
    const text = isRecord(value) ? value['text'] : undefined
    if (typeof text !== 'string' || text.length < 1 || text.length > COPY_TEXT_LENGTH) {
      throw badRequest('BUTTON_COPY_TEXT_INVALID')
    }
  } else if (action === 'url') {
    if (typeof value !== 'string') throw refuse('Field "url" must be of type String')
    const why = whyNotLink(value)
    if (why !== undefined) throw badRequest(`inline keyboard button URL '${value}' is invalid: ${why}`)
  } else if (action === 'web_app') {
    const url = isRecord(value) ? String(value['url']) : ''
    if (!url.startsWith('https://')) {
      throw badRequest(`inline keyboard button Web App URL '${url}' is invalid: Only HTTPS links are allowed`)
    }
  } else if (action === 'disabled') {
    if (!isRecord(value)) throw refuse('Field "disabled" must be of type Object')
  } else if (action === 'pay' || action === 'callback_game') {
    throw badRequest('BUTTON_TYPE_INVALID')
  } else if (action === 'login_url') {
    // A bot has a login domain only after one was set with BotFather, and here there is no BotFather.
    throw badRequest('BOT_DOMAIN_INVALID')
  }
}

function refuse(why: string): Error {
  return badRequest(`can't parse inline keyboard button: ${why}`)
}
