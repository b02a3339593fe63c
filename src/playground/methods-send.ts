import { documentOf, photoOf } from './files.ts'
import { readMarkup } from './markup.ts'
import type { Method } from './methods.ts'
import type { Chat, Message } from './model.ts'
import { type Params, isRecord } from './params.ts'
import { badRequest } from './refusal.ts'
import { readCaption, readMessageText } from './text.ts'
import type { World } from './world.ts'

/** The chat actions of the Bot API. */
const CHAT_ACTIONS = new Set(
  (
    'typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker ' +
    'find_location record_video_note upload_video_note'
  ).split(' '),
)

/** sendMessage, sendPhoto, sendDocument, sendChatAction. */
export const sendMethods: Record<string, Method> = {
  sendMessage(params, { world }) {
    // Telegram looks at the text before the chat.
    const { text, entities, html } = readMessageText(params)
    return send(params, world, { text, ...(entities.length > 0 ? { entities } : {}) }, html)
  },
  sendPhoto(params, { world }) {
    const file = world.files.resolve(params, 'photo', params.text('photo'))
    const caption = captionFields(params)
    return send(params, world, { photo: photoOf(file), ...caption.fields }, caption.html)
  },
  sendDocument(params, { world }) {
    const file = world.files.resolve(params, 'document', params.text('document'))
    const caption = captionFields(params)
    return send(params, world, { document: documentOf(file), ...caption.fields }, caption.html)
  },
  sendChatAction(params, { world }) {
    const chat = world.chatForBot(params.text('chat_id'))
    const action = params.text('action') ?? ''
    if (!CHAT_ACTIONS.has(action)) throw badRequest('wrong parameter action in request')
    world.emit({ kind: 'typing', chatId: chat.info.id, action })
    return true
  },
}

/** Caption and its entities as message fields, none when there is no caption. */
export function captionFields(params: Params): {
  fields: Pick<Message, 'caption' | 'caption_entities'>
  html: string | undefined
} {
  const caption = readCaption(params)
  if (caption === undefined) return { fields: {}, html: undefined }
  const { text, entities, html } = caption
  return { fields: { caption: text, ...(entities.length > 0 ? { caption_entities: entities } : {}) }, html }
}

function send(params: Params, world: World, content: Partial<Message>, html: string | undefined): Message {
  const chat = world.chatForBot(params.text('chat_id'))
  const markup = readMarkup(params.json('reply_markup'), true)
  // No chat here has topics.
  if (params.integer('message_thread_id') !== undefined) throw badRequest('message thread not found')
  const replyTo = readReply(params, world, chat)
  const entry = world.post(
    chat,
    {
      from: world.bot,
      ...(replyTo === undefined ? {} : { reply_to_message: replyTo }),
      ...content,
      ...(markup === undefined ? {} : { reply_markup: markup }),
    },
    { silent: params.flag('disable_notification'), html },
  )
  return entry.message
}

function readReply(params: Params, world: World, chat: Chat): Message | undefined {
  const reply = params.json('reply_parameters')
  let messageId = params.integer('reply_to_message_id')
  let optional = params.flag('allow_sending_without_reply')
  if (reply !== undefined) {
    if (!isRecord(reply)) throw badRequest("can't parse reply parameters JSON object")
    if (typeof reply['message_id'] !== 'number') throw badRequest('can\'t find field "message_id"')
    messageId = reply['message_id']
    optional = reply['allow_sending_without_reply'] === true
  }
  if (messageId === undefined) return undefined
  const found = world.find(chat, messageId)
  if (found === undefined) {
    if (optional) return undefined
    throw badRequest('message to be replied not found')
  }
  const { reply_to_message: _nested, ...message } = found.message
  return message
}
