import type { Context } from 'grammy'
import { type AnyOperationName, operationMeta, type Role, roles } from '#src/contract/index.ts'
import type { Spot, Who } from './types.ts'

/** What a command, button or wizard asks for: a role, or the role of an operation of the contract. */
export type Need = Role | AnyOperationName

export function roleNeeded(need: Need): Role {
  return (roles as readonly string[]).includes(need)
    ? (need as Role)
    : operationMeta(need as AnyOperationName).role
}

/**
 * The one decision on who may do what.
 * @returns true where the actor's role reaches what is needed.
 */
export function authorize(who: Pick<Who, 'role'>, need: Need): boolean {
  return roles.indexOf(who.role) >= roles.indexOf(roleNeeded(need))
}

/**
 * Who stands behind an update, known by `from.id` alone. Undefined for strangers, bots, channels and anonymous
 * admins: those speak in the name of a chat, and nobody can tell which person that is.
 */
export function whoIs(ctx: Context, owners: readonly number[]): Who | undefined {
  const { from } = ctx
  if (from === undefined || from.is_bot || ctx.msg?.sender_chat !== undefined) return undefined
  if (!owners.includes(from.id)) return undefined
  const actor = { kind: 'telegram' as const, id: String(from.id) }
  return {
    userId: from.id,
    role: 'owner',
    actor: ctx.chat === undefined ? actor : { ...actor, chat: String(ctx.chat.id) },
  }
}

/** Where the sender of an update looks. In a group every person has a live message of their own. */
export function spotOf(ctx: Context): Spot | undefined {
  const { chat, from } = ctx
  if (chat === undefined || from === undefined) return undefined
  if (chat.type === 'private') return { key: String(chat.id), chatId: chat.id, threadId: undefined }
  const threadId = ctx.msg?.is_topic_message === true ? ctx.msg.message_thread_id : undefined
  return { key: `${chat.id}:${threadId ?? 0}:${from.id}`, chatId: chat.id, threadId }
}

/** The place a key was made for, to draw there without an update. */
export function spotOfKey(key: string): Spot {
  const [chat, thread] = key.split(':')
  return { key, chatId: Number(chat), threadId: Number(thread ?? 0) || undefined }
}
