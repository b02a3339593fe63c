import type { Method } from './methods.ts'
import type { Chat } from './model.ts'
import { type Params, isRecord } from './params.ts'
import { badRequest } from './refusal.ts'
import type { World } from './world.ts'

/** The emoji a message can be reacted with (Bot API, ReactionTypeEmoji); any other is REACTION_INVALID. */
const REACTIONS = new Set(
  (
    '❤ 👍 👎 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 ' +
    '😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡'
  ).split(' '),
)

/** pinChatMessage, unpinChatMessage, unpinAllChatMessages, setMessageReaction, getChat. */
export const chatMethods: Record<string, Method> = {
  pinChatMessage(params, { world }) {
    const { chat, messageId } = existing(params, world, 'message to pin not found')
    chat.pinned = [...chat.pinned.filter((id) => id !== messageId), messageId]
    world.emit({ kind: 'pinned', chatId: chat.info.id })
    return true
  },
  unpinChatMessage(params, { world }) {
    const chat = world.chatForBot(params.text('chat_id'))
    const messageId = params.integer('message_id') ?? chat.pinned.at(-1)
    if (messageId === undefined || !chat.pinned.includes(messageId))
      throw badRequest('message to unpin not found')
    chat.pinned = chat.pinned.filter((id) => id !== messageId)
    world.emit({ kind: 'pinned', chatId: chat.info.id })
    return true
  },
  unpinAllChatMessages(params, { world }) {
    const chat = world.chatForBot(params.text('chat_id'))
    chat.pinned = []
    world.emit({ kind: 'pinned', chatId: chat.info.id })
    return true
  },
  setMessageReaction(params, { world }) {
    const { chat, messageId } = existing(params, world, 'message to react not found')
    const wanted: unknown = params.json('reaction') ?? []
    if (!Array.isArray(wanted)) throw badRequest("can't parse reaction types JSON array")
    const emoji = wanted.map((item: unknown) => {
      const value = isRecord(item) && item['type'] === 'emoji' ? String(item['emoji']) : ''
      if (!REACTIONS.has(value)) throw badRequest('REACTION_INVALID')
      return value
    })
    // A bot can set one reaction on a message.
    if (emoji.length > 1) throw badRequest('REACTIONS_TOO_MANY')
    const entry = world.find(chat, messageId)
    if (entry !== undefined) {
      entry.reactions = emoji
      world.emit({ kind: 'message', chatId: chat.info.id, entry, edited: true })
    }
    return true
  },
  getChat(params, { world }) {
    const chat = world.chatForBot(params.text('chat_id'))
    const pinned = world.find(chat, chat.pinned.at(-1))?.message
    return {
      ...chat.info,
      accent_color_id: 0,
      max_reaction_count: 11,
      accepted_gift_types: {
        unlimited_gifts: false,
        limited_gifts: false,
        unique_gifts: false,
        premium_subscription: false,
        gifts_from_channels: false,
      },
      ...(pinned === undefined ? {} : { pinned_message: pinned }),
    }
  },
}

function existing(params: Params, world: World, otherwise: string): { chat: Chat; messageId: number } {
  const chat = world.chatForBot(params.text('chat_id'))
  const messageId = params.integer('message_id')
  if (messageId === undefined || world.find(chat, messageId) === undefined) throw badRequest(otherwise)
  return { chat, messageId }
}
