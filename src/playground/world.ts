import { type Runtime, randomId } from '../runtime.ts'
import { FileStore } from './files.ts'
import type {
  Account,
  CallbackAnswer,
  CallbackTap,
  Chat,
  CommandSet,
  Entry,
  Message,
  Person,
  WorldEvent,
} from './model.ts'
import { badRequest, forbidden } from './refusal.ts'
import { UpdateQueue } from './update-queue.ts'

/**
 * How long a callback or inline query can be answered. Telegram publishes no figure; bots in the field meet "query is
 * too old" from 10 to 20 s on.
 */
export const QUERY_LIFETIME_MS = 15_000

/** Everything this Telegram knows: people, chats with their history, files, taps, and the bot's update queue. */
export class World {
  readonly runtime: Runtime
  readonly bot: Account & { username: string }
  readonly updates: UpdateQueue
  readonly files: FileStore
  readonly people = new Map<number, Person>()
  readonly chats = new Map<number, Chat>()
  readonly taps = new Map<string, CallbackTap>()
  readonly inlineQueries = new Map<string, { userId: number; at: number; results?: unknown[] }>()
  readonly profile = { commands: [] as CommandSet[], texts: new Map<string, string>() }
  readonly #listeners = new Set<(event: WorldEvent) => void>()

  constructor(runtime: Runtime, bot: Account & { username: string }) {
    this.runtime = runtime
    this.bot = bot
    this.updates = new UpdateQueue(runtime)
    this.files = new FileStore(runtime)
  }

  /** Calls `listener` for every change until the returned function is called. */
  subscribe(listener: (event: WorldEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  emit(event: WorldEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  /** Adds a person and their empty chat with the bot; the same id twice is the same person. */
  addPerson(account: Account): Person {
    const known = this.people.get(account.id)
    if (known !== undefined) return known
    const person: Person = { account, started: false, blocked: false }
    this.people.set(account.id, person)
    this.chats.set(account.id, {
      info: {
        id: account.id,
        type: 'private',
        first_name: account.first_name,
        ...(account.username === undefined ? {} : { username: account.username }),
      },
      ...emptyHistory([account.id]),
    })
    this.emit({ kind: 'people' })
    return person
  }

  /** Adds a supergroup with the bot in it. */
  addGroup(id: number, title: string, members: readonly number[]): Chat {
    if (id >= 0) throw new Error(`A group's id is negative, got ${id}`)
    const chat: Chat = { info: { id, type: 'supergroup', title }, ...emptyHistory(members) }
    this.chats.set(id, chat)
    this.emit({ kind: 'people' })
    return chat
  }

  /** The chat a bot may write to, or Telegram's refusal: chat not found, blocked. */
  chatForBot(idText: string | undefined): Chat {
    if (idText === undefined || idText === '') throw badRequest('chat_id is empty')
    const chat = /^-?\d+$/.test(idText) ? this.chats.get(Number(idText)) : undefined
    if (chat === undefined) throw badRequest('chat not found')
    if (chat.info.type === 'private') {
      const person = this.people.get(chat.info.id)
      if (person?.started !== true) throw badRequest('chat not found')
      if (person.blocked) throw forbidden('bot was blocked by the user')
    }
    return chat
  }

  /** Adds a message to a chat's history; id and date are given here. */
  post(
    chat: Chat,
    content: Omit<Message, 'message_id' | 'date' | 'chat'>,
    about: { silent?: boolean; html?: string | undefined } = {},
  ): Entry {
    const message: Message = {
      message_id: chat.nextMessageId++,
      date: this.seconds(),
      chat: chat.info,
      ...content,
    }
    const entry: Entry = { message, silent: about.silent === true, html: about.html, reactions: [] }
    chat.entries.push(entry)
    if (message.from.id === this.bot.id) {
      const text = message.text ?? message.caption ?? ''
      chat.notifications.push({
        messageId: message.message_id,
        text,
        silent: entry.silent,
        at: this.runtime.now(),
      })
    }
    this.emit({ kind: 'message', chatId: chat.info.id, entry, edited: false })
    return entry
  }

  /** Puts an edited message in the place of the old one. */
  edit(chat: Chat, entry: Entry, message: Message, html: string | undefined): void {
    entry.message = { ...message, edit_date: this.seconds() }
    entry.html = html
    this.emit({ kind: 'message', chatId: chat.info.id, entry, edited: true })
  }

  /** Takes messages out of a chat's history; ids that are not there are passed over. */
  remove(chat: Chat, messageIds: readonly number[]): void {
    chat.entries = chat.entries.filter((entry) => !messageIds.includes(entry.message.message_id))
    chat.pinned = chat.pinned.filter((id) => !messageIds.includes(id))
    this.emit({ kind: 'deleted', chatId: chat.info.id, messageIds: [...messageIds] })
  }

  find(chat: Chat, messageId: number | undefined): Entry | undefined {
    return chat.entries.find((entry) => entry.message.message_id === messageId)
  }

  /** A person taps a callback button: the update carries the message as it is now. */
  tap(chat: Chat, account: Account, messageId: number, data: string): CallbackTap {
    const tap: CallbackTap = {
      id: BigInt(`0x${this.runtime.randomBytes(7).toString('hex')}`).toString(),
      userId: account.id,
      chatId: chat.info.id,
      messageId,
      at: this.runtime.now(),
    }
    this.taps.set(tap.id, tap)
    const message = this.find(chat, messageId)?.message ?? { chat: chat.info, message_id: messageId, date: 0 }
    this.updates.push('callback_query', {
      id: tap.id,
      from: account,
      message: structuredClone(message),
      chat_instance: String(chat.info.id),
      data,
    })
    return tap
  }

  /** Records the bot's answer to a tap and tells whoever waits for it. */
  answer(tap: CallbackTap, answer: CallbackAnswer): void {
    tap.answer = answer
    this.emit({ kind: 'answered', tap, answer })
  }

  /** A query id nobody can guess, for inline queries. */
  newQueryId(): string {
    return randomId(this.runtime, 72)
  }

  /** Wall clock in seconds, the unit of every date in the Bot API. */
  seconds(): number {
    return Math.floor(this.runtime.now() / 1000)
  }
}

function emptyHistory(members: readonly number[]): Omit<Chat, 'info'> {
  return { members: new Set(members), entries: [], nextMessageId: 1, pinned: [], notifications: [] }
}
