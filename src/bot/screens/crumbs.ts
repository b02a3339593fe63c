import { type Html, html, lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { Screen } from '../types.ts'

/** Where home is: the name of the only server; undefined where there are several, which make a fleet. */
export type Home = string | undefined

/**
 * A screen as it is sent: its place in the first line, `Fleet › de-1 › Clients (2/7)`, and its text. With one server
 * there is no fleet: the line begins with what is there, and home is the server.
 */
export function wholeText({ place, text }: Screen, home: Home, t: T): Html {
  const { path, page, step } = place
  const root = home ?? t('crumb.fleet')
  const parts = home !== undefined && path.length > 0 ? path : [root, ...path]
  const line = parts.join(' › ')
  return lines(
    html`<b>${page !== undefined && page.pages > 1 ? `${line} (${page.page + 1}/${page.pages})` : line}</b>`,
    step !== undefined && step.total > 1 && html`<i>${t('wizard.step', step)}</i>`,
    '',
    text,
  )
}
