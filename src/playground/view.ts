import type { InlineKeyboardButton, MessageEntity } from 'grammy/types'
import type { Chat, Entry } from './model.ts'

/** A message as a person sees it. */
export interface SeenMessage {
  messageId: number
  fromBot: boolean
  /** Text or caption, without its formatting. */
  text: string
  entities: MessageEntity[]
  /** The source as the bot wrote it, when it wrote HTML. */
  html?: string
  /** Labels, row by row. */
  buttons: string[][]
  /** The buttons themselves, row by row. */
  keyboard: InlineKeyboardButton[][]
  /** File ids of what hangs on the message. */
  photo?: string
  document?: string
  edited: boolean
  reactions: string[]
}

/** Shows one entry of a chat's history. */
export function seen(entry: Entry, botId: number): SeenMessage {
  const { message } = entry
  const keyboard = message.reply_markup?.inline_keyboard ?? []
  const photo = message.photo?.at(-1)?.file_id
  return {
    messageId: message.message_id,
    fromBot: message.from.id === botId,
    text: message.text ?? message.caption ?? '',
    entities: message.entities ?? message.caption_entities ?? [],
    ...(entry.html === undefined ? {} : { html: entry.html }),
    buttons: keyboard.map((row) => row.map((button) => button.text)),
    keyboard,
    ...(photo === undefined ? {} : { photo }),
    ...(message.document === undefined ? {} : { document: message.document.file_id }),
    edited: message.edit_date !== undefined,
    reactions: entry.reactions,
  }
}

/** The live screen of a chat: the bot's newest message with a keyboard, else its newest message. */
export function screenOf(chat: Chat, botId: number): SeenMessage | undefined {
  const fromBot = chat.entries.filter((entry) => entry.message.from.id === botId)
  const screen = fromBot.findLast((entry) => entry.message.reply_markup !== undefined) ?? fromBot.at(-1)
  return screen === undefined ? undefined : seen(screen, botId)
}

/** What to look for: part of the text, a pattern, or a question about the message. */
export type Wanted = string | RegExp | ((message: SeenMessage) => boolean)

/** True when the message is what is looked for. */
export function matches(message: SeenMessage, wanted: Wanted): boolean {
  if (typeof wanted === 'string') return message.text.includes(wanted)
  return wanted instanceof RegExp ? message.text.search(wanted) !== -1 : wanted(message)
}

/** A chat in a few lines, for the error of a test that did not see what it waited for. */
export function describeChat(chat: Chat, botId: number): string {
  const lines = chat.entries.slice(-8).map((entry) => {
    const { messageId, fromBot, text, buttons } = seen(entry, botId)
    const labels = buttons.map((row) => `\n      ${row.map((label) => `[${label}]`).join(' ')}`).join('')
    return `  #${messageId} ${fromBot ? 'bot' : 'user'}: ${JSON.stringify(text)}${labels}`
  })
  return lines.length === 0 ? '  (the chat is empty)' : lines.join('\n')
}
