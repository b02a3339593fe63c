import type { InlineQueryResultArticle } from 'grammy/types'
import { bytes } from './format.ts'
import { personItem } from './screens/clients.ts'
import type { Services } from './services.ts'
import type { Context } from 'grammy'
import type { T } from './i18n/texts.ts'

/** Telegram shows fifty at most; twenty fill a phone twice. */
const MOST_RESULTS = 20

/** `@bot name` in any chat: clients by name. What is chosen is sent as `/find name`, which only people known here may use. */
export async function answerInline(s: Services, ctx: Context, t: T): Promise<void> {
  const search = (ctx.inlineQuery?.query ?? '').trim().slice(0, 64)
  const people = s.fleet.view.people({ page: 0, size: MOST_RESULTS, ...(search === '' ? {} : { search }) })
  const results = people.items.flatMap((person, i): InlineQueryResultArticle[] => {
    const item = personItem(person)
    if (item === undefined) return []
    return [
      {
        type: 'article',
        id: item.waits === true ? `waiting-${i}` : `${item.serverId}-${item.clientId}`,
        title: person.email,
        description: `${item.waits === true ? '⏳ ' : ''}${t('client.servers', { count: item.servers })} · ${bytes(item.traffic)}`,
        input_message_content: { message_text: `/find ${person.email}` },
      },
    ]
  })
  // A query whose time is over has been replaced by the next letter typed.
  await ctx.answerInlineQuery(results, { cache_time: 0, is_personal: true }).catch(() => undefined)
}
