import {
  type ConversationData,
  conversations,
  createConversation,
  type VersionedState,
} from '@grammyjs/conversations'
import { Composer, type Context, type Middleware } from 'grammy'
import { authorize, spotOf, whoIs } from './access.ts'
import { backTo } from './back.ts'
import { decodeTap } from './callback-data.ts'
import { type Command, type CommandName, commandNames, registerCommands, typed } from './commands.ts'
import type { Languages } from './i18n/texts.ts'
import { answerInline } from './inline.ts'
import type { Menus } from './menus.ts'
import { type Dispatch, saying } from './router.ts'
import { noteScreen } from './screens/confirm.ts'
import type { Services } from './services.ts'
import { isOnLiveMessage } from './store/chats.ts'
import type { Drafts } from './store/drafts.ts'
import type { BotContext } from './types.ts'
import { WIZARD, WIZARD_VERSION, wizardConversation } from './wizards/conversation.ts'
import { type AnyWizard, isWizardTap } from './wizards/run.ts'

export interface TreeParts {
  s: Services
  languages: Languages
  menus: Menus
  drafts: Drafts
  dispatch: Dispatch
  commands: Record<CommandName, Command>
  wizards: Record<string, AnyWizard>
}

/**
 * What happens to an update, in this order: who is it; /cancel; a wizard that waits for it; buttons; commands; text.
 * /cancel stands before the wizard because a wizard takes every text it is given.
 */
export function updateTree(parts: TreeParts): Composer<Context> {
  const { s, drafts, dispatch, commands } = parts
  const known = new Composer<BotContext>()

  known.use(
    conversations<BotContext, Context>({
      storage: {
        type: 'key',
        version: WIZARD_VERSION,
        getStorageKey: (ctx) => ctx.spot.key,
        adapter: {
          read: (key) => drafts.read(key) as VersionedState<ConversationData> | undefined,
          write: (key, state) => drafts.write(key, state),
          delete: (key) => drafts.delete(key),
        },
      },
    }),
  )
  const runCommand = async (ctx: BotContext, name: CommandName, argument: string): Promise<void> => {
    const command = commands[name]
    if (!authorize(ctx.who, command.need)) return
    ctx.fresh = true
    await ctx.conversation.exitAll()
    await saying(s, ctx, () => command.run(ctx, argument))
  }
  known.command('cancel', (ctx) => runCommand(ctx, 'cancel', ''))
  known.use(
    createConversation(wizardConversation(s, parts.wizards), { id: WIZARD }) as Middleware<BotContext>,
  )
  known.use(parts.menus.middleware)
  known.on('callback_query:data', (ctx) => {
    const tap = decodeTap(ctx.callbackQuery.data)
    if (tap !== undefined) return dispatch(ctx, tap)
    // The second half of a double tap that ended a form: the screen has moved on already.
    const isNoNews = isWizardTap(ctx.callbackQuery.data) && isOnLiveMessage(s, ctx)
    return s.answered(ctx, () =>
      Promise.resolve(isNoNews ? undefined : { text: ctx.t('toast.old'), alert: true }),
    )
  })
  for (const name of commandNames) {
    if (name === 'cancel') continue
    known.command(name, async (ctx) => {
      await runCommand(ctx, name, ctx.match)
      if (name === 'start' && ctx.chat.type === 'private') {
        // Not allowed before the person has written first, which may be now.
        await registerCommands(ctx.api, ctx.who.userId, ctx.t).catch(() => undefined)
      }
    })
  }
  known.on('message', async (ctx) => {
    // In a group people talk to each other; only what is said to the bot is answered.
    const toUs = ctx.chat.type === 'private' || ctx.message.reply_to_message?.from?.id === ctx.me.id
    if (!toUs) return
    const { text } = ctx.message
    if (text !== undefined && !text.startsWith('/') && (await saying(s, ctx, () => typed(s, ctx, text))))
      return
    ctx.fresh = true
    const back = backTo(s.chats.get(ctx.spot.key)?.screen, ctx.t)
    await s.live.show(ctx, noteScreen(ctx.t('toast.typed'), ctx.t, [], back), 'note')
  })

  return gate(parts, known)
}

/** The one gate: strangers get a line for /start in private and nothing for anything else. */
function gate({ s, languages }: TreeParts, known: Composer<BotContext>): Composer<Context> {
  const gated = new Composer<Context>()
  const inside = known.middleware()
  gated.use(async (ctx, next) => {
    const language = languages.forCode(ctx.from?.language_code)
    const who = whoIs(ctx, s.owners)
    if (who === undefined) {
      const isStart = ctx.chat?.type === 'private' && ctx.message?.text?.split(/\s/)[0] === '/start'
      if (isStart && ctx.from?.is_bot === false) await ctx.reply(language.t('stranger'))
      return
    }
    if (ctx.inlineQuery !== undefined) {
      if (authorize(who, 'viewer')) await answerInline(s, ctx, language.t)
      return
    }
    const spot = spotOf(ctx)
    if (spot === undefined || ctx.myChatMember !== undefined) return
    const extras = { who, spot, language, t: language.t }
    await inside(Object.assign(ctx, extras) as unknown as BotContext, next)
  })
  return gated
}
