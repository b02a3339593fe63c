import { isDeepStrictEqual } from 'node:util'
import { documentOf, photoOf } from './files.ts'
import { readMarkup } from './markup.ts'
import type { Method } from './methods.ts'
import { captionFields } from './methods-send.ts'
import type { Chat, Entry, Message } from './model.ts'
import { Params, isRecord } from './params.ts'
import { badRequest } from './refusal.ts'
import { readMessageText } from './text.ts'
import type { World } from './world.ts'

/** A bot cannot delete a message for everyone that is older than this (Bot API, deleteMessage). */
const DELETE_WINDOW_S = 48 * 60 * 60

const NOT_MODIFIED =
  'message is not modified: specified new message content and reply markup are exactly the same as a current ' +
  'content and reply markup of the message'

/** editMessageText, editMessageCaption, editMessageReplyMarkup, editMessageMedia, deleteMessage, deleteMessages. */
export const editMethods: Record<string, Method> = {
  editMessageText(params, { world }) {
    const { text, entities, html } = readMessageText(params)
    const { chat, entry } = editable(params, world)
    if (entry.message.text === undefined) throw badRequest('there is no text in the message to edit')
    return apply(params, world, chat, entry, { text, ...(entities.length > 0 ? { entities } : {}) }, html)
  },
  editMessageCaption(params, { world }) {
    const caption = captionFields(params)
    const { chat, entry } = editable(params, world)
    const { photo, document } = entry.message
    if (photo === undefined && document === undefined)
      throw badRequest('there is no caption in the message to edit')
    const media = dropUndefined({ photo, document })
    return apply(params, world, chat, entry, { ...media, ...caption.fields }, caption.html)
  },
  editMessageReplyMarkup(params, { world }) {
    const { chat, entry } = editable(params, world)
    const { text, entities, caption, caption_entities, photo, document } = entry.message
    const content = dropUndefined({ text, entities, caption, caption_entities, photo, document })
    return apply(params, world, chat, entry, content, entry.html)
  },
  editMessageMedia(params, { world }) {
    const media = params.json('media')
    if (!isRecord(media)) throw badRequest("can't parse InputMedia: expected an Object")
    const { type } = media
    if (type !== 'photo' && type !== 'document') {
      throw badRequest(`can't parse InputMedia: media type "${String(type)}" is not supported here`)
    }
    const { chat, entry } = editable(params, world)
    const file = world.files.resolve(
      params,
      type,
      typeof media['media'] === 'string' ? media['media'] : undefined,
    )
    const caption = captionFields(new Params(new Map(Object.entries(media))))
    const content = type === 'photo' ? { photo: photoOf(file) } : { document: documentOf(file) }
    return apply(params, world, chat, entry, { ...content, ...caption.fields }, caption.html)
  },
  deleteMessage(params, { world }) {
    const chat = world.chatForBot(params.text('chat_id'))
    const messageId = params.integer('message_id')
    if (messageId === undefined) throw badRequest('message identifier is not specified')
    const entry = world.find(chat, messageId)
    if (entry === undefined) throw badRequest('message to delete not found')
    if (world.seconds() - entry.message.date > DELETE_WINDOW_S)
      throw badRequest("message can't be deleted for everyone")
    world.remove(chat, [messageId])
    return true
  },
  deleteMessages(params, { world }) {
    const chat = world.chatForBot(params.text('chat_id'))
    const ids = params.json('message_ids')
    if (!Array.isArray(ids) || ids.length === 0) throw badRequest('message identifiers are not specified')
    if (ids.length > 100) throw badRequest('too many message identifiers specified')
    world.remove(
      chat,
      ids.map((id: unknown) => Number(id)),
    )
    return true
  },
}

function editable(params: Params, world: World): { chat: Chat; entry: Entry } {
  if (params.text('inline_message_id') !== undefined) throw badRequest('MESSAGE_ID_INVALID')
  const chat = world.chatForBot(params.text('chat_id'))
  const messageId = params.integer('message_id')
  if (messageId === undefined) throw badRequest('message identifier is not specified')
  const entry = world.find(chat, messageId)
  if (entry === undefined) throw badRequest('message to edit not found')
  if (entry.message.from.id !== world.bot.id) throw badRequest("message can't be edited")
  return { chat, entry }
}

/** Puts `content` and the markup of the call in the place of the old ones; no markup means none from now on. */
function apply(
  params: Params,
  world: World,
  chat: Chat,
  entry: Entry,
  content: Partial<Message>,
  html: string | undefined,
): Message {
  const markup = readMarkup(params.json('reply_markup'), false)
  const { message_id, date, edit_date, from, reply_to_message } = entry.message
  const next: Message = {
    message_id,
    date,
    chat: chat.info,
    from,
    ...dropUndefined({ edit_date, reply_to_message }),
    ...content,
    ...(markup === undefined ? {} : { reply_markup: markup }),
  }
  if (isDeepStrictEqual(comparable(next), comparable(entry.message))) throw badRequest(NOT_MODIFIED)
  world.edit(chat, entry, next, html)
  return entry.message
}

/** A message without the fields that are set to undefined: to Telegram they are not there. */
function comparable(message: Message): unknown {
  return JSON.parse(JSON.stringify(message)) as unknown
}

function dropUndefined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Partial<T>
}
