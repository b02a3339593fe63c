import type { InlineKeyboardButton } from 'grammy/types'
import { documentOf } from './files.ts'
import type { CallbackAnswer, Chat, Message, Notification, Person } from './model.ts'
import { TEXT_LIMIT, finish } from './text.ts'
import { type SeenMessage, type Wanted, describeChat, matches, screenOf, seen } from './view.ts'
import type { World } from './world.ts'

/** How long sees() and its kin wait: more than a busy machine needs, less than a test's own limit. */
const PATIENCE_MS = 15_000

export interface WaitOptions {
  timeoutMs?: number
}

/** What came of a tap: a query to the bot, or something the client does by itself. */
export type TapResult =
  | { kind: 'callback'; queryId: string }
  | { kind: 'copied'; text: string }
  | { kind: 'opened'; url: string }

/** A button to tap: its label (exactly, else a part of it) or a question about the button. */
export type WantedButton = string | ((button: InlineKeyboardButton) => boolean)

/**
 * A person at a chat with the bot in it, for tests: `sends` and `taps` resolve as soon as the bot's update is queued;
 * `sees`, `seesScreen` and `until` wait for what the bot makes of it.
 */
export class Participant {
  protected readonly world: World
  protected readonly person: Person
  protected readonly chat: Chat
  #lastTapId: string | undefined

  constructor(world: World, person: Person, chat: Chat) {
    this.world = world
    this.person = person
    this.chat = chat
  }

  get id(): number {
    return this.person.account.id
  }

  get chatId(): number {
    return this.chat.info.id
  }

  /** Writes into the chat; commands (`/start payload`) are marked as Telegram marks them. */
  async sends(text: string, options: { replyTo?: number } = {}): Promise<SeenMessage> {
    const { text: written, entities } = finish({ text, entities: [] })
    if (written === '' || written.length > TEXT_LIMIT) throw new Error('A message has 1 to 4096 characters')
    return this.#write({ text: written, ...(entities.length > 0 ? { entities } : {}) }, options.replyTo)
  }

  /** Sends a file into the chat. */
  async sendsDocument(fileName: string, bytes: Buffer, caption?: string): Promise<SeenMessage> {
    const file = this.world.files.add({ fileName, bytes }, 'documents')
    return this.#write({ document: documentOf(file), ...(caption === undefined ? {} : { caption }) })
  }

  #write(content: Partial<Message>, replyTo?: number): SeenMessage {
    if (this.person.blocked) throw new Error(`${this.person.account.first_name} has blocked the bot`)
    if (this.chat.info.type === 'private') this.person.started = true
    const original = replyTo === undefined ? undefined : this.world.find(this.chat, replyTo)?.message
    const reply = original === undefined ? {} : { reply_to_message: original }
    const entry = this.world.post(this.chat, { from: this.person.account, ...reply, ...content })
    if (this.#reachesBot(entry.message)) this.world.updates.push('message', structuredClone(entry.message))
    return seen(entry, this.world.bot.id)
  }

  /** In groups a bot with privacy mode, the default, hears commands, mentions and replies to itself only. */
  #reachesBot(message: Message): boolean {
    if (this.chat.info.type === 'private') return true
    if (message.reply_to_message?.from.id === this.world.bot.id) return true
    const text = message.text ?? message.caption ?? ''
    const command = /^\/\w+(?:@(\w+))?/.exec(text)
    if (command !== null) return command[1] === undefined || command[1] === this.world.bot.username
    return text.includes(`@${this.world.bot.username}`)
  }

  /**
   * Taps a button of the newest message that has it. Throws an Error that lists the visible buttons when there is no
   * such button, and one for a button that is disabled.
   */
  async taps(wanted: WantedButton): Promise<TapResult> {
    const found = this.#findButton(wanted)
    if (found === undefined) {
      const label = typeof wanted === 'string' ? JSON.stringify(wanted) : 'that is asked for'
      throw new Error(`No button ${label} in the chat:\n${describeChat(this.chat, this.world.bot.id)}`)
    }
    const { button, messageId } = found
    if ('disabled' in button) throw new Error(`The button ${JSON.stringify(button.text)} is disabled`)
    if ('copy_text' in button) return { kind: 'copied', text: button.copy_text.text }
    if ('url' in button) return { kind: 'opened', url: button.url }
    if ('callback_data' in button) return this.tapsData(messageId, button.callback_data)
    throw new Error(`The button ${JSON.stringify(button.text)} does something this playground does not show`)
  }

  /**
   * Sends callback data as a tap on a message, whether a button there has it or not: a keyboard that is out of date,
   * or a client that cheats.
   */
  async tapsData(messageId: number, data: string): Promise<TapResult> {
    const tap = this.world.tap(this.chat, this.person.account, messageId, data)
    this.#lastTapId = tap.id
    return { kind: 'callback', queryId: tap.id }
  }

  #findButton(wanted: WantedButton): { button: InlineKeyboardButton; messageId: number } | undefined {
    const all = this.messages()
      .reverse()
      .flatMap(({ keyboard, messageId }) => keyboard.flat().map((button) => ({ button, messageId })))
    if (typeof wanted !== 'string') return all.find(({ button }) => wanted(button))
    return (
      all.find(({ button }) => button.text === wanted) ??
      all.find(({ button }) => button.text.includes(wanted))
    )
  }

  /** Everything in the chat as it is now, oldest first, both sides. */
  messages(): SeenMessage[] {
    return this.chat.entries.map((entry) => seen(entry, this.world.bot.id))
  }

  /** The bot's newest message with a keyboard, else its newest message. Throws an Error when it wrote none. */
  screen(): SeenMessage {
    const screen = screenOf(this.chat, this.world.bot.id)
    if (screen === undefined) throw new Error('The bot has written nothing in this chat')
    return screen
  }

  /** Waits until one of the bot's messages, as they are now, is what is wanted; the newest such is returned. */
  async sees(wanted: Wanted, options: WaitOptions = {}): Promise<SeenMessage> {
    const look = (): SeenMessage | undefined =>
      this.messages().findLast((message) => message.fromBot && matches(message, wanted))
    return this.until(look, { what: `a message with ${String(wanted)}`, ...options })
  }

  /** Waits until the live screen is what is wanted. */
  async seesScreen(wanted: Wanted, options: WaitOptions = {}): Promise<SeenMessage> {
    const look = (): SeenMessage | undefined => {
      const screen = screenOf(this.chat, this.world.bot.id)
      return screen !== undefined && matches(screen, wanted) ? screen : undefined
    }
    return this.until(look, { what: `a screen with ${String(wanted)}`, ...options })
  }

  /** Waits for `look` to return something; asked again after every change in this Telegram. */
  async until<T>(look: () => T | undefined, options: WaitOptions & { what?: string } = {}): Promise<T> {
    const { timeoutMs = PATIENCE_MS, what = 'what was waited for' } = options
    const first = look()
    if (first !== undefined) return first
    return new Promise<T>((resolve, reject) => {
      const check = (): void => {
        try {
          const value = look()
          if (value !== undefined) end(() => resolve(value))
        } catch (error) {
          end(() => reject(error as Error))
        }
      }
      const unsubscribe = this.world.subscribe(check)
      const timer = setTimeout(() => {
        const chat = describeChat(this.chat, this.world.bot.id)
        end(() => reject(new Error(`Did not see ${what} within ${timeoutMs} ms. The chat:\n${chat}`)))
      }, timeoutMs)
      const end = (then: () => void): void => {
        clearTimeout(timer)
        unsubscribe()
        then()
      }
    })
  }

  /** Everything the bot sent into this chat (edits are not sent), in order, deleted since or not. */
  notifications(): Notification[] {
    return [...this.chat.notifications]
  }

  /** The text of the bot's last answer to one of this person's taps, undefined when it said nothing. */
  toast(): string | undefined {
    const answer = [...this.world.taps.values()]
      .filter((tap) => tap.userId === this.id && tap.chatId === this.chatId)
      .findLast((tap) => tap.answer !== undefined)?.answer
    return answer === undefined || answer.text === '' ? undefined : answer.text
  }

  /** Waits until the bot has answered the last tap: before that the button would show its spinner. */
  async waitsForAnswer(options: WaitOptions = {}): Promise<CallbackAnswer> {
    const id = this.#lastTapId
    if (id === undefined) throw new Error('Nothing was tapped yet')
    return this.until(() => this.world.taps.get(id)?.answer, { what: 'an answer to the tap', ...options })
  }

  /** The bytes of the newest photo in the chat. */
  photo(): Buffer {
    return this.#newestFile((message) => message.photo, 'photo').bytes
  }

  /** The newest document in the chat. */
  document(): { name: string; bytes: Buffer } {
    const { name, bytes } = this.#newestFile((message) => message.document, 'document')
    return { name, bytes }
  }

  #newestFile(
    idOf: (message: SeenMessage) => string | undefined,
    what: string,
  ): { name: string; bytes: Buffer } {
    const fileId = this.messages()
      .map(idOf)
      .findLast((id) => id !== undefined)
    const file = fileId === undefined ? undefined : this.world.files.get(fileId)
    if (file === undefined) throw new Error(`There is no ${what} in the chat`)
    return file
  }

  /** The message pinned last. */
  pinned(): SeenMessage | undefined {
    const entry = this.world.find(this.chat, this.chat.pinned.at(-1))
    return entry === undefined ? undefined : seen(entry, this.world.bot.id)
  }
}
