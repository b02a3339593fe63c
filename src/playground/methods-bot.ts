import type { BotCommand } from 'grammy/types'
import type { Method } from './methods.ts'
import type { CommandSet } from './model.ts'
import { type Params, isRecord, scalar } from './params.ts'
import { badRequest } from './refusal.ts'
import type { World } from './world.ts'

/** Bot API limits. */
const COMMAND_LIMIT = 100
const COMMAND_DESCRIPTION_LENGTH = 256
const DESCRIPTION_LENGTH = 512
const SHORT_DESCRIPTION_LENGTH = 120
/** Telegram's server never holds a poll for longer. */
const POLL_SECONDS = 50

const SCOPES = new Set([
  'default',
  'all_private_chats',
  'all_group_chats',
  'all_chat_administrators',
  'chat',
  'chat_administrators',
  'chat_member',
])

/** getMe, getUpdates, webhook settings, commands and descriptions. */
export const botMethods: Record<string, Method> = {
  getMe: (_params, { world }) => ({
    ...world.bot,
    can_join_groups: true,
    can_read_all_group_messages: false,
    supports_guest_queries: false,
    supports_inline_queries: true,
    can_connect_to_business: false,
    has_main_web_app: false,
    has_topics_enabled: false,
    allows_users_to_create_topics: false,
    can_manage_bots: false,
    supports_join_request_queries: false,
  }),
  getUpdates(params, { world, gone }) {
    const allowed: unknown = params.json('allowed_updates')
    if (
      allowed !== undefined &&
      !(Array.isArray(allowed) && allowed.every((type) => typeof type === 'string'))
    ) {
      throw badRequest("can't parse allowed updates: expected an Array of String")
    }
    return world.updates.poll({
      offset: params.integer('offset') ?? 0,
      limit: Math.min(Math.max(params.integer('limit') ?? 100, 1), 100),
      timeoutSeconds: Math.min(Math.max(params.integer('timeout') ?? 0, 0), POLL_SECONDS),
      allowed: allowed as string[] | undefined,
      gone,
    })
  },
  deleteWebhook(params, { world }) {
    if (params.flag('drop_pending_updates')) world.updates.drop()
    return true
  },
  getWebhookInfo: (_params, { world }) => ({
    url: '',
    has_custom_certificate: false,
    pending_update_count: world.updates.pendingCount,
    ...(world.updates.allowed.length === 0 ? {} : { allowed_updates: world.updates.allowed }),
  }),
  setMyCommands(params, { world }) {
    const commands = readCommands(params.json('commands'))
    const key = commandKey(params, world)
    const others = world.profile.commands.filter((set) => !sameKey(set, key))
    world.profile.commands = commands.length === 0 ? others : [...others, { ...key, commands }]
    world.emit({ kind: 'commands' })
    return true
  },
  getMyCommands(params, { world }) {
    const key = commandKey(params, world)
    return world.profile.commands.find((set) => sameKey(set, key))?.commands ?? []
  },
  deleteMyCommands(params, { world }) {
    const key = commandKey(params, world)
    world.profile.commands = world.profile.commands.filter((set) => !sameKey(set, key))
    world.emit({ kind: 'commands' })
    return true
  },
  setMyDescription: (params, { world }) => setText(params, world, 'description', DESCRIPTION_LENGTH),
  getMyDescription: (params, { world }) => getText(params, world, 'description'),
  setMyShortDescription: (params, { world }) =>
    setText(params, world, 'short_description', SHORT_DESCRIPTION_LENGTH),
  getMyShortDescription: (params, { world }) => getText(params, world, 'short_description'),
}

function readCommands(value: unknown): BotCommand[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw badRequest("can't parse commands: expected an Array")
  if (value.length > COMMAND_LIMIT) throw badRequest('BOT_COMMANDS_TOO_MUCH')
  return value.map((item: unknown) => {
    if (!isRecord(item)) throw badRequest("can't parse BotCommand: expected an Object")
    const { command, description } = item
    if (typeof command !== 'string') throw badRequest('can\'t parse BotCommand: Can\'t find field "command"')
    if (typeof description !== 'string')
      throw badRequest('can\'t parse BotCommand: Can\'t find field "description"')
    if (!/^[a-z0-9_]{1,32}$/.test(command)) throw badRequest('BOT_COMMAND_INVALID')
    if (description.trim() === '' || description.length > COMMAND_DESCRIPTION_LENGTH) {
      throw badRequest('BOT_COMMAND_DESCRIPTION_INVALID')
    }
    return { command, description }
  })
}

function commandKey(params: Params, world: World): Omit<CommandSet, 'commands'> {
  const language = params.text('language_code') ?? ''
  if (language !== '' && !/^[a-z]{2}$/.test(language)) throw badRequest('BOT_COMMAND_LANG_CODE_INVALID')
  const scope: unknown = params.json('scope') ?? { type: 'default' }
  if (!isRecord(scope)) throw badRequest("can't parse BotCommandScope: expected an Object")
  const type = scalar(scope['type'])
  if (!SCOPES.has(type)) throw badRequest("can't parse BotCommandScope: Unsupported type specified")
  if (!type.startsWith('chat')) return { scope: type, language }
  const chat = world.chatForBot(scalar(scope['chat_id']))
  return {
    scope: `${type}:${chat.info.id}${type === 'chat_member' ? `:${scalar(scope['user_id'])}` : ''}`,
    language,
  }
}

function sameKey(a: Omit<CommandSet, 'commands'>, b: Omit<CommandSet, 'commands'>): boolean {
  return a.scope === b.scope && a.language === b.language
}

/** The commands a person sees in a chat: the narrowest scope first, in their language before in none. */
export function commandsFor(
  world: World,
  chatId: number,
  userId: number,
  language: string | undefined,
): BotCommand[] {
  const group = chatId < 0
  const scopes = [
    `chat_member:${chatId}:${userId}`,
    `chat:${chatId}`,
    group ? 'all_group_chats' : 'all_private_chats',
    'default',
  ]
  const languages = language === undefined ? [''] : [language.slice(0, 2), '']
  for (const scope of scopes) {
    for (const code of languages) {
      const set = world.profile.commands.find((candidate) => sameKey(candidate, { scope, language: code }))
      if (set !== undefined) return set.commands
    }
  }
  return []
}

function setText(params: Params, world: World, name: string, limit: number): true {
  const text = params.text(name) ?? ''
  if (text.length > limit)
    throw badRequest(name === 'description' ? 'BOT_DESCRIPTION_TOO_LONG' : 'BOT_ABOUT_TOO_LONG')
  world.profile.texts.set(`${name}:${params.text('language_code') ?? ''}`, text)
  return true
}

function getText(params: Params, world: World, name: string): Record<string, string> {
  return { [name]: world.profile.texts.get(`${name}:${params.text('language_code') ?? ''}`) ?? '' }
}
