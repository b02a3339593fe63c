import { button } from '../buttons.ts'
import { html, lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { Keyboard, Screen } from '../types.ts'

export interface ConfirmModel {
  crumbs: string[]
  /** Names the thing and what is going to happen to it. */
  question: string
  /** Who is touched by it. */
  effect: string
  yes: string
  /** Red where something is taken away, which is the rule. */
  style?: 'danger' | 'success'
  nonce: string
  back: Keyboard[number][number]
}

/** A question before something is taken away: the thing, the effect, a red button. */
export function confirmScreen(model: ConfirmModel): Screen {
  return {
    place: { path: model.crumbs },
    text: lines(html`<b>${model.question}</b>`, model.effect),
    nonces: [model.nonce],
    keyboard: [[button(model.yes, 'do', { nonce: model.nonce }, model.style ?? 'danger')], [model.back]],
  }
}

/** Something that is said, with what can be done about it, and the way to where one was, if that is known, and home. */
export function noteScreen(words: string, t: T, next: Keyboard = [], back: Keyboard[number] = []): Screen {
  const home = button(t('button.home'), 'home', {})
  return {
    place: { path: [] },
    text: lines(words),
    keyboard: [...next, [...back, home, button(t('button.help'), 'help', {})]],
  }
}

export function helpScreen(t: T): Screen {
  return {
    place: { path: [t('crumb.help')] },
    text: lines(
      t('help.intro'),
      '',
      t('help.start'),
      t('help.servers'),
      t('help.add'),
      t('help.inbound'),
      t('help.server'),
      t('help.find'),
      t('help.cancel'),
    ),
    keyboard: [[button(t('button.home'), 'home', {})]],
  }
}
