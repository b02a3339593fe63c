import { type Api, GrammyError } from 'grammy'
import { LONGEST_REASON, clip } from '#src/clip.ts'
import type { Fleet } from '#src/fleet/types.ts'
import type { CodedError } from '#src/errors.ts'
import type { IncidentKind } from '#src/notify/messages.ts'
import type { Delivery, Outgoing } from '#src/notify/sender.ts'
import { forApi, isChatGone, isMalformed, retryAfterMs } from './api-errors.ts'
import { doingWords } from './batch-model.ts'
import { button, short } from './buttons.ts'
import { duration, moment, statusDot } from './format.ts'
import { HERE, type Html, html, lines, placed } from './html.ts'
import { errorWords, type Languages, type T } from './i18n/texts.ts'
import type { Keyboard } from './types.ts'

interface Alert {
  /** What has happened, plain. */
  title: string
  more: (Html | string | false)[]
  keyboard: Keyboard
}

const upTitle = (state: IncidentKind | undefined, name: string, t: T): string =>
  `🟢 ${state === 'partly' ? t('alert.whole', { name }) : t('alert.up', { name })}`

/** Characters. A name is far shorter, and this can be sent whatever else is not as expected. */
const LONGEST_TITLE = 200

/** An alert in words: what, why, since when; and the buttons that help. */
function alertOf(message: Outgoing, fleet: Fleet, t: T): Alert {
  const { serverId: server, serverName: name } = message.payload
  const open = button(t('button.openServer'), 'alertOpen', { server })
  const why = (reason: CodedError): string => clip(errorWords(t, reason), LONGEST_REASON)
  switch (message.kind) {
    case 'serverDown': {
      const { state, reason, since } = message.payload
      return {
        title: `${statusDot({ status: state, enabled: true })} ${t(`alert.${state}`, { name })}`,
        more: [
          why(reason),
          html`${placed(t('alert.since', { time: HERE }), moment(since, 'at'))} · ${moment(since, 'ago')}`,
          state === 'offline' && t('alert.offlineHint'),
        ],
        keyboard: [[open, button(t('button.checkNow'), 'alertCheck', { server })]],
      }
    }
    case 'serverUp': {
      const { state, downSince, upAt } = message.payload
      const time = duration(t, upAt - downSince)
      return {
        title: upTitle(state, name, t),
        more: [state === 'partly' ? t('alert.wasPartly', { time }) : t('alert.wasDown', { time })],
        keyboard: [[open]],
      }
    }
    case 'changesRefused': {
      const { changes, count } = message.payload
      const said = changes.flatMap(({ batch, task: id, reason }) => {
        const task = fleet.tasks.batch(batch).find((each) => each.id === id)
        return task === undefined
          ? []
          : [html`❌ ${doingWords(fleet, task, t)}: ${short(errorWords(t, reason), 200)}`]
      })
      return {
        title: `❌ ${t('alert.refused', { count, name })}`,
        more: [
          t('alert.waited', { count }),
          ...said,
          count > said.length && t('batch.more', { n: count - said.length }),
        ],
        keyboard: [[open]],
      }
    }
    case 'serverDownAndUp': {
      const { state, reason, downSince, upAt } = message.payload
      return {
        title: upTitle(state, name, t),
        more: [
          placed(
            t(`alert.had.${state}`, { time: duration(t, upAt - downSince), since: HERE }),
            moment(downSince, 'at'),
          ),
          why(reason),
        ],
        keyboard: [[open]],
      }
    }
  }
}

/**
 * Sends a row of the outbox in its reader's language; one that Telegram does not take, short and plain. Rate limits go
 * back to the outbox, which waits; what may pass is thrown.
 */
export async function deliver(options: {
  api: Api
  fleet: Fleet
  languages: Languages
  languageOf: (chat: string) => string | null | undefined
  message: Outgoing
  signal?: AbortSignal
}): Promise<Delivery> {
  const { api, message, signal } = options
  const { t } = options.languages.forCode(options.languageOf(message.chat))
  const { title, more, keyboard } = alertOf(message, options.fleet, t)
  const send = async (text: string, how: object): Promise<Delivery> => {
    const sent = await api.sendMessage(
      message.chat,
      text,
      { ...how, disable_notification: message.silent },
      signal === undefined ? undefined : forApi(signal),
    )
    return { ok: true, messageId: sent.message_id }
  }
  const settled = (error: unknown): Delivery | undefined => {
    const wait = retryAfterMs(error)
    if (wait !== undefined) return { ok: false, retryAfterMs: wait }
    return isChatGone(error) ? { ok: false, gone: descriptionOf(error) } : undefined
  }
  try {
    return await send(lines(html`<b>${title}</b>`, ...more).value, {
      parse_mode: 'HTML',
      link_preview_options: { is_disabled: true },
      reply_markup: { inline_keyboard: keyboard },
    })
  } catch (error) {
    const known = settled(error)
    if (known !== undefined) return known
    if (!isMalformed(error)) throw error
  }
  // Refused for what it is, it would be refused for ever, and everything after it would wait.
  try {
    return await send(clip(title, LONGEST_TITLE), {})
  } catch (error) {
    const known = settled(error)
    if (known !== undefined) return known
    if (!isMalformed(error)) throw error
    return { ok: false, gone: descriptionOf(error) }
  }
}

function descriptionOf(error: unknown): string {
  return error instanceof GrammyError ? error.description : 'gone'
}
