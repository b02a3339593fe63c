import type { Conversation } from '@grammyjs/conversations'
import type { Context } from 'grammy'
import type { Update } from 'grammy/types'
import { FleetError } from '#src/errors.ts'
import { authorize } from '../access.ts'
import { backTo } from '../back.ts'
import { errorWords } from '../i18n/texts.ts'
import { isOnLiveMessage } from '../store/chats.ts'
import type { Services, Toast } from '../services.ts'
import { noteScreen } from '../screens/confirm.ts'
import type { BotContext } from '../types.ts'
import { advance, type AnyWizard, beginRun, isWizardTap, readTap, type Run, runScreen } from './run.ts'
import type { Input, WizardEnv } from './wizard.ts'

/**
 * The shape of the replay log below and of Run: a draft of another version is dropped. The log is always
 * external, (wait, external)*, so a change inside a wizard needs no new version unless its answers change shape.
 */
export const WIZARD_VERSION = 8

/** The name under which the one conversation of this bot is known. */
export const WIZARD = 'wizard'

/** Each answer stays in the draft; a person who toggles more than this is better served by starting anew. */
const MOST_TURNS = 200

export interface WizardStart {
  wizard: string
  args: unknown
}

/**
 * Every wizard is this one conversation: it waits for an input and hands it to a pure reducer. Whatever is not
 * repeatable stands in `external`, and results, not errors, come out of it: the plugin would strip their class.
 */
export function wizardConversation(s: Services, wizards: Record<string, AnyWizard>) {
  return async function wizard(
    conversation: Conversation<BotContext, Context>,
    _first: Context,
    start: WizardStart,
  ): Promise<void> {
    let run = await effect(conversation, (ctx) => begin(ctx, start))
    for (let turn = 0; run?.status === 'asking' && turn < MOST_TURNS; turn++) {
      const asked = run
      const { update } = await conversation.wait()
      const input = inputFor(asked, update)
      // Not for us: buttons of other messages, commands, talk in a group go on to whoever wants them.
      if (input === undefined) await conversation.skip({ next: true })
      else run = await effect(conversation, (ctx) => step(ctx, asked, input))
    }
  }

  async function begin(ctx: BotContext, { wizard: name, args }: WizardStart): Promise<Run | null> {
    const wizard = wizards[name]
    if (wizard === undefined || !authorize(ctx.who, wizard.need)) return null
    const env = envOf(ctx)
    const from = s.chats.get(ctx.spot.key)?.screen ?? ''
    const run = beginRun(name, wizard, args, env, from)
    if ('refuse' in run) {
      await s.live.show(ctx, noteScreen(run.refuse, ctx.t, run.next, backTo(from, ctx.t)), 'note')
      return null
    }
    await s.live.show(ctx, runScreen(wizard, run, env), WIZARD)
    return run
  }

  async function step(ctx: BotContext, run: Run, input: Input | 'stale'): Promise<Run | null> {
    const wizard = wizards[run.wizard]
    if (wizard === undefined || !authorize(ctx.who, wizard.need)) return null
    if (input === 'stale') {
      await s.answered(ctx, () => answerStale(ctx, wizard, run))
      return run
    }
    let next: Run | null = run
    await s.answered(ctx, async () => {
      await removeTyped(ctx)
      next = await move(ctx, wizard, run, input)
    })
    return next
  }

  /** The second half of a double tap, on the form itself, is no news to anybody: the form is shown as it is. */
  async function answerStale(ctx: BotContext, wizard: AnyWizard, run: Run): Promise<Toast | undefined> {
    if (!isOnLiveMessage(s, ctx)) return { text: ctx.t('toast.old'), alert: true }
    await s.live.show(ctx, runScreen(wizard, run, envOf(ctx)), WIZARD)
    return undefined
  }

  async function move(ctx: BotContext, wizard: AnyWizard, run: Run, input: Input): Promise<Run | null> {
    const env = envOf(ctx)
    const next = advance(wizard, run, input, env)
    const answers = next.answers as never
    if (next.status === 'cancelled') {
      await s.goBack(ctx, next.from, wizard.origin(answers))
      return null
    }
    if (next.status === 'finishing') {
      try {
        await wizard.finish(answers, next, ctx)
        return null
      } catch (error) {
        if (!(error instanceof FleetError)) throw error
        // The last question once more, with what is wrong: a name may have been taken meanwhile.
        return ask({ ...next, status: 'asking', error: errorWords(ctx.t, error) })
      }
    }
    return ask(next)

    async function ask(asked: Run): Promise<Run> {
      const question = wizard.steps(asked.answers as never, env)[asked.step]
      const at = { ...asked, answers: (await question?.look?.(asked.answers)) ?? asked.answers }
      await s.live.show(ctx, runScreen(wizard, at, env), WIZARD)
      return at
    }
  }

  /** An answer that was typed is taken out of the chat: the screen says what became of it. */
  async function removeTyped(ctx: BotContext): Promise<void> {
    if (ctx.message === undefined) return
    // Not allowed in some groups; the answer counts all the same.
    await ctx.deleteMessage().catch(() => undefined)
  }

  function envOf(ctx: BotContext): WizardEnv {
    return { fleet: s.fleet, runtime: s.runtime, t: ctx.t, group: ctx.chat?.type !== 'private' }
  }
}

/**
 * Work that is done once and whose result is kept. An error comes out as it was thrown: the plugin's copy has lost its
 * class, and with it whether trying again may help.
 */
async function effect<R>(
  conversation: Conversation<BotContext, Context>,
  work: (ctx: BotContext) => Promise<R>,
): Promise<R> {
  let thrown: { error: unknown } | undefined
  try {
    return await conversation.external((ctx) =>
      work(ctx).catch((error: unknown) => {
        thrown = { error }
        throw new Error('kept beside the log of the conversation')
      }),
    )
  } catch (error) {
    throw thrown === undefined ? error : thrown.error
  }
}

/**
 * What an update says to a run, `stale` for a button of a question that has been answered; undefined when it is meant for
 * something else. Pure: it is replayed.
 */
function inputFor(run: Run, update: Update): Input | 'stale' | undefined {
  const data = update.callback_query?.data
  if (data !== undefined) return isWizardTap(data) ? (readTap(run, data) ?? 'stale') : undefined
  const { message } = update
  if (message === undefined) return undefined
  const { text, chat } = message
  // In a group people also talk to each other: an answer is a reply to the bot.
  if (chat.type !== 'private' && message.reply_to_message?.from?.is_bot !== true) return undefined
  if (text === undefined) return { kind: 'other' }
  return text.startsWith('/') ? undefined : { kind: 'text', text: text.trim() }
}
