import type { ConversationFlavor } from '@grammyjs/conversations'
import type { Context } from 'grammy'
import type { InlineKeyboardButton } from 'grammy/types'
import type { Role } from '#src/contract/index.ts'
import type { Actor, Fleet } from '#src/fleet/types.ts'
import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Db } from '#src/store/drizzle.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import type { LookUp } from './domain-check.ts'
import type { Html } from './html.ts'
import type { Language, T } from './i18n/texts.ts'
import type { TelegramLine } from './telegram-fetch.ts'

export interface BotDeps {
  token: string
  /** `https://api.telegram.org`, or a server of one's own. No slash at the end. */
  apiRoot: string
  /** Telegram user ids. */
  owners: readonly number[]
  db: Db
  box: SecretBox
  fleet: Fleet
  runtime: Runtime
  log: Pick<Log, 'info' | 'warn' | 'error'>
  /** Probes a server now; resolves when its state is up to date. */
  checkServer?: (serverId: number) => Promise<void>
  /** Carries the calls to Telegram; for proxies and tests. */
  line?: TelegramLine
  /** Finds the addresses of a name; for tests. */
  lookUp?: LookUp
  faults?: Faults | undefined
}

/** Someone known, and what they may do. */
export interface Who {
  userId: number
  role: Role
  actor: Actor
}

/** Where a person looks: one live message each, also for two admins in one group. */
export interface Spot {
  /** `${chat}` in private, else `${chat}:${thread}:${from}`. */
  key: string
  chatId: number
  threadId: number | undefined
}

/** Which menu a message carries, and what it is about. */
export type MenuRef = { menu: 'server'; server: number } | { menu: 'picker'; page: number }

export type Keyboard = InlineKeyboardButton[][]

/** Where a screen is: its way from home, its page of several, and which question of a form it is. */
export interface Place {
  path: readonly string[]
  /** `page` from 0. */
  page?: { page: number; pages: number }
  /** `n` from 1. */
  step?: { n: number; total: number }
}

/** What a message shows. Made by a pure function of a model and a language. */
export interface Screen {
  place: Place
  text: Html
  keyboard: Keyboard | MenuRef
  /** Nonces on its buttons, to be tied to the message once it is sent. */
  nonces?: readonly string[]
}

/** What is needed to draw: also made for drawing without an update, when a server has joined. */
export interface Stage {
  t: T
  language: Language
  spot: Spot
  menuRef?: MenuRef
  /** The next screen goes into a new message. */
  fresh?: boolean
}

interface Extras extends Stage {
  who: Who
}

export type StageContext = Context & Stage
export type BotContext = ConversationFlavor<Context & Extras>
