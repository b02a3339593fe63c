import type { Api } from 'grammy'
import type { Delivery, Outgoing } from '#src/notify/sender.ts'
import { GrammyError } from 'grammy'
import { forApi, isChatGone, retryAfterMs } from './api-errors.ts'
import { button } from './buttons.ts'
import { duration, moment } from './format.ts'
import { HERE, html, lines, placed } from './html.ts'
import { errorWords, type Languages, type T } from './i18n/texts.ts'
import type { Keyboard, Screen } from './types.ts'

/** An alert in words: what, why, since when; and the buttons that help. */
function alertScreen(message: Outgoing, t: T): Screen & { keyboard: Keyboard } {
  const { payload } = message
  const server = payload.serverId
  const keyboard = [
    [
      button(t('button.openServer'), 'alertOpen', { server }),
      button(t('button.checkNow'), 'alertCheck', { server }),
    ],
  ]
  const name = payload.serverName
  switch (message.kind) {
    case 'serverDown': {
      const { state, reason, since } = message.payload
      const text = lines(
        html`${state === 'offline' ? '🔴' : '🟠'} <b>${t(`alert.${state}`, { name })}</b>`,
        errorWords(t, reason),
        html`${placed(t('alert.since', { time: HERE }), moment(since, 'at'))} · ${moment(since, 'ago')}`,
        state === 'offline' && t('alert.offlineHint'),
      )
      return { text, keyboard }
    }
    case 'serverUp': {
      const { downSince, upAt } = message.payload
      const text = lines(
        html`🟢 <b>${t('alert.up', { name })}</b>`,
        t('alert.wasDown', { time: duration(t, upAt - downSince) }),
      )
      return { text, keyboard: [keyboard[0]?.slice(0, 1) ?? []] }
    }
    case 'serverDownAndUp': {
      const { state, reason, downSince, upAt } = message.payload
      const text = lines(
        html`🟢 <b>${t('alert.up', { name })}</b>`,
        placed(
          t(`alert.had.${state}`, { time: duration(t, upAt - downSince), since: HERE }),
          moment(downSince, 'at'),
        ),
        errorWords(t, reason),
      )
      return { text, keyboard: [keyboard[0]?.slice(0, 1) ?? []] }
    }
  }
}

/**
 * Sends a row of the outbox in its reader's language. Rate limits go back to the outbox, which waits; what may pass
 * is thrown.
 */
export async function deliver(options: {
  api: Api
  languages: Languages
  languageOf: (chat: string) => string | null | undefined
  message: Outgoing
  signal?: AbortSignal
}): Promise<Delivery> {
  const { api, message, signal } = options
  const { t } = options.languages.forCode(options.languageOf(message.chat))
  const { text, keyboard } = alertScreen(message, t)
  try {
    const sent = await api.sendMessage(
      message.chat,
      text.value,
      {
        parse_mode: 'HTML',
        link_preview_options: { is_disabled: true },
        disable_notification: message.silent,
        reply_markup: { inline_keyboard: keyboard },
      },
      signal === undefined ? undefined : forApi(signal),
    )
    return { ok: true, messageId: sent.message_id }
  } catch (error) {
    const wait = retryAfterMs(error)
    if (wait !== undefined) return { ok: false, retryAfterMs: wait }
    if (isChatGone(error))
      return { ok: false, gone: error instanceof GrammyError ? error.description : 'gone' }
    throw error
  }
}
