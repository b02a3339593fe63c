import type { BotCommand, InlineKeyboardMarkup, MessageEntity } from 'grammy/types'

/** A person or the bot, as the Bot API shows them. */
export interface Account {
  id: number
  is_bot: boolean
  first_name: string
  username?: string
  language_code?: string
}

/** A chat as it stands inside a message. */
export interface ChatInfo {
  id: number
  type: 'private' | 'supergroup'
  title?: string
  first_name?: string
  username?: string
}

export interface PhotoSize {
  file_id: string
  file_unique_id: string
  width: number
  height: number
  file_size: number
}

export interface DocumentInfo {
  file_id: string
  file_unique_id: string
  file_name: string
  mime_type: string
  file_size: number
}

/** A message in the shape the Bot API sends it; dates are in seconds. */
export interface Message {
  message_id: number
  date: number
  edit_date?: number
  chat: ChatInfo
  from: Account
  text?: string
  entities?: MessageEntity[]
  caption?: string
  caption_entities?: MessageEntity[]
  photo?: PhotoSize[]
  document?: DocumentInfo
  reply_to_message?: Message
  reply_markup?: InlineKeyboardMarkup
}

/** A message in a chat's history, with what only this side knows about it. */
export interface Entry {
  message: Message
  /** True when the bot asked for no sound. */
  silent: boolean
  /** The text as the bot wrote it, when it wrote HTML. */
  html: string | undefined
  /** Emoji the bot reacted with. */
  reactions: string[]
}

/** Something the bot sent (edits are not sent), as it was at that moment. */
export interface Notification {
  messageId: number
  text: string
  silent: boolean
  /** Wall clock in ms. */
  at: number
}

/** A chat with everything in it. Message ids grow by one per chat. */
export interface Chat {
  info: ChatInfo
  members: Set<number>
  entries: Entry[]
  nextMessageId: number
  pinned: number[]
  notifications: Notification[]
}

/** A person known to this Telegram. */
export interface Person {
  account: Account
  /** True once the person wrote to the bot: before that a bot cannot find the chat. */
  started: boolean
  blocked: boolean
}

export interface CallbackAnswer {
  text: string
  alert: boolean
  url?: string
}

/** A tap on a callback button and what the bot said to it. */
export interface CallbackTap {
  id: string
  userId: number
  chatId: number
  messageId: number
  /** Wall clock in ms. */
  at: number
  answer?: CallbackAnswer
}

export interface CommandSet {
  scope: string
  language: string
  commands: BotCommand[]
}

/** What changed, for whoever is looking: waiting tests and open chat pages. */
export type WorldEvent =
  | { kind: 'message'; chatId: number; entry: Entry; edited: boolean }
  | { kind: 'deleted'; chatId: number; messageIds: number[] }
  | { kind: 'pinned'; chatId: number }
  | { kind: 'typing'; chatId: number; action: string }
  | { kind: 'answered'; tap: CallbackTap; answer: CallbackAnswer }
  | { kind: 'inline'; queryId: string; results: unknown[] }
  | { kind: 'commands' }
  | { kind: 'people' }
