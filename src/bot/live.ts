import type { Context, InputFile } from 'grammy'
import type { InlineKeyboardMarkup } from 'grammy/types'
import type { Runtime } from '#src/runtime.ts'
import { isMessageGone, isNotModified, isThreadGone } from './api-errors.ts'
import { decodeTap, encodeTap } from './callback-data.ts'
import { type Html } from './html.ts'
import { type Home, wholeText } from './screens/crumbs.ts'
import type { Chats } from './store/chats.ts'
import type { MenuRef, Screen, Stage, StageContext } from './types.ts'

/** The one live message of a person in a chat: every screen is drawn into it. */
export interface Live {
  /**
   * Draws a screen where the person looks, and remembers its address. Edits in place where it can; a context marked
   * `fresh` gets a new message at the end of the chat, where somebody who has just typed looks.
   */
  show(ctx: StageContext, screen: Screen, address: string): Promise<void>
  /** As show, but only while `address` is still what is shown: for what comes later, such as progress. */
  refresh(ctx: StageContext, screen: Screen, address: string): Promise<boolean>
  /** Draws a screen into a message that is not the live one any more but stays to be read, where it is still there. */
  amend(ctx: StageContext, screen: Screen, messageId: number): Promise<void>
  /** A message beside the live one, which stays as it is. */
  aside(ctx: StageContext, screen: Screen): Promise<void>
  photo(ctx: StageContext, photo: InputFile, caption: Html): Promise<void>
}

export function createLive(options: {
  chats: Chats
  runtime: Runtime
  /** Where home is now. */
  home: () => Home
  /** The keyboard of a menu. */
  menu: (stage: Stage, ref: MenuRef) => Promise<InlineKeyboardMarkup>
  bind: (nonces: readonly string[], messageId: number) => void
}): Live {
  const { chats, runtime } = options
  const written = (ctx: StageContext, screen: Screen): string =>
    wholeText(screen, options.home(), ctx.t).value
  const lock = keyedLock()

  async function markup(ctx: StageContext, screen: Screen): Promise<InlineKeyboardMarkup> {
    // A copy: the API client must not be handed rows that a later draw shares.
    if (Array.isArray(screen.keyboard)) return { inline_keyboard: screen.keyboard.map((row) => [...row]) }
    const { t, language, spot } = ctx
    return options.menu({ t, language, spot }, screen.keyboard)
  }

  async function edit(ctx: StageContext, messageId: number, screen: Screen): Promise<boolean> {
    const keyboard = await markup(ctx, screen)
    try {
      await ctx.api.editMessageText(ctx.spot.chatId, messageId, written(ctx, screen), {
        parse_mode: 'HTML',
        link_preview_options: { is_disabled: true },
        reply_markup: keyboard,
      })
      return true
    } catch (error) {
      if (isNotModified(error)) return true
      if (isMessageGone(error)) return false
      throw error
    }
  }

  async function send(ctx: StageContext, screen: Screen): Promise<number> {
    const keyboard = await markup(ctx, screen)
    const message = await inThread(ctx.spot, (thread) =>
      ctx.api.sendMessage(ctx.spot.chatId, written(ctx, screen), {
        ...thread,
        parse_mode: 'HTML',
        link_preview_options: { is_disabled: true },
        reply_markup: keyboard,
      }),
    )
    return message.message_id
  }

  /** What is not live any more goes, or, where it is worth reading, loses its buttons. */
  async function retire(ctx: StageContext, messageId: number, stays: boolean): Promise<void> {
    const { chatId } = ctx.spot
    const isGone = !stays && (await ctx.api.deleteMessage(chatId, messageId).catch(() => false))
    if (isGone) return
    // It may be gone already, or too old to edit; then there is no keyboard to drop.
    await ctx.api
      .editMessageReplyMarkup(chatId, messageId, { reply_markup: { inline_keyboard: [] } })
      .catch(() => undefined)
  }

  async function draw(ctx: StageContext, screen: Screen, address: string, tapped?: number): Promise<void> {
    const { key } = ctx.spot
    const previous = chats.get(key)
    const before = previous?.screenMessageId ?? undefined
    const target = ctx.fresh === true ? undefined : (tapped ?? before)
    // Before it is sent: what it waits for may happen while Telegram is still answering.
    chats.set(key, { screen: address, language: ctx.language.code }, runtime.now())
    const edited = target !== undefined && (await edit(ctx, target, screen))
    const messageId = edited ? target : await send(ctx, screen)
    ctx.fresh = false
    chats.set(key, { screenMessageId: messageId }, runtime.now())
    options.bind(screen.nonces ?? [], messageId)
    if (before !== undefined && before !== messageId) {
      await retire(ctx, before, staysToRead(previous?.screen ?? '') && previous?.screen !== address)
    }
  }

  return {
    show: (ctx, screen, address) =>
      lock(ctx.spot.key, () => draw(ctx, screen, address, liveMessageTapped(ctx))),
    refresh: (ctx, screen, address) =>
      lock(ctx.spot.key, async () => {
        if (chats.get(ctx.spot.key)?.screen !== address) return false
        await draw(ctx, screen, address)
        return true
      }),
    amend: (ctx, screen, messageId) =>
      lock(ctx.spot.key, async () => void (await edit(ctx, messageId, screen))),
    async aside(ctx, screen) {
      const messageId = await send(ctx, screen)
      options.bind(screen.nonces ?? [], messageId)
    },
    async photo(ctx, photo, caption) {
      const close = { text: ctx.t('button.close'), callback_data: encodeTap('closeQr', {}) }
      await inThread(ctx.spot, (thread) =>
        ctx.api.sendPhoto(ctx.spot.chatId, photo, {
          ...thread,
          caption: caption.value,
          parse_mode: 'HTML',
          reply_markup: { inline_keyboard: [[close]] },
        }),
      )
    },
  }
}

/** The result of a change with its links, and a join command: somebody may still need them. */
function staysToRead(address: string): boolean {
  const verb = decodeTap(address.split(' ')[0] ?? '')?.verb
  return verb === 'batch' || verb === 'join'
}

/** A button pressed makes its message the live one, but only where a screen can be drawn: a photo has no text. */
function liveMessageTapped(ctx: Context & Partial<Stage>): number | undefined {
  const message = ctx.callbackQuery?.message
  if (message === undefined || !('text' in message)) return undefined
  // In a group another admin's screen is theirs: this person's answer goes into a message of their own.
  return ctx.chat?.type === 'private' ? message.message_id : undefined
}

/** A topic may be gone; the message is then better in the chat itself than lost. */
async function inThread<R>(
  spot: Stage['spot'],
  send: (thread: { message_thread_id?: number }) => Promise<R>,
): Promise<R> {
  if (spot.threadId === undefined) return send({})
  try {
    return await send({ message_thread_id: spot.threadId })
  } catch (error) {
    if (!isThreadGone(error)) throw error
    return send({})
  }
}

/** Runs work of one key one after another. */
function keyedLock(): <R>(key: string, work: () => Promise<R>) => Promise<R> {
  const tails = new Map<string, Promise<unknown>>()
  return (key, work) => {
    const result = (tails.get(key) ?? Promise.resolve()).then(work, work)
    const tail = result.then(
      () => undefined,
      () => undefined,
    )
    tails.set(key, tail)
    void tail.then(() => {
      if (tails.get(key) === tail) tails.delete(key)
    })
    return result
  }
}
