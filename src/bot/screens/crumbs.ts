import type { T } from '../i18n/texts.ts'
import { type Html, html } from '../html.ts'

/** The first line of every screen: `Fleet › de-1 › Clients (2/7)`. */
export function crumbs(t: T, parts: readonly string[], at?: { page: number; pages: number }): Html {
  const path = [t('crumb.fleet'), ...parts].join(' › ')
  return html`<b>${at !== undefined && at.pages > 1 ? `${path} (${at.page + 1}/${at.pages})` : path}</b>`
}
