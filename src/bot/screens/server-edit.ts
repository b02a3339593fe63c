import type { Server } from '#src/fleet/types.ts'
import { button, inRows } from '../buttons.ts'
import type { editFields } from '../callback-data.ts'
import { moment } from '../format.ts'
import { HERE, html, lines, placed } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { Screen } from '../types.ts'

/** In the order people look for them; short labels stand together. */
const SHOWN: readonly (typeof editFields)[number][] = ['name', 'region', 'publicAddress', 'alias', 'notes']

/** What is written about a server, with a button for each field. */
export function editScreen({ server }: { server: Server }, t: T): Screen {
  // The controller's own machine has nothing to join.
  const isAgent = server.kind === 'agent'
  const fields = SHOWN.map((field) => {
    const value = server[field]
    return html`${t(`edit.${field}`)}: ${value === null || value === '' ? '–' : value}`
  })
  return {
    place: { path: [server.name, t('crumb.edit')] },
    text: lines(...fields, isAgent && html`\n<i>${t('edit.rejoin')}</i>`, '', t('edit.which')),
    keyboard: [
      ...inRows(
        SHOWN.map((field) => button(t(`edit.${field}`), 'editField', { server: server.id, field })),
        2,
      ),
      ...(isAgent ? [[button(t('button.joinCommand'), 'join', { server: server.id })]] : []),
      [button(t('button.back'), 'server', { server: server.id })],
    ],
  }
}

export interface JoinModel {
  server: Server
  command: string
  /** How long it lives, and when that is over (ms). */
  minutes: number
  expiresAt: number
}

/** What a button can put on the clipboard (Bot API, CopyTextButton). */
const LONGEST_COPY = 256

/** The line to paste on a new machine, and the wait for it. Turns into the server's screen when it has joined. */
export function joinScreen({ server, command, minutes, expiresAt }: JoinModel, t: T): Screen {
  return {
    place: { path: [server.name, t('crumb.join')] },
    text: lines(
      t('join.run'),
      html`<code>${command}</code>`,
      // The app keeps this true: on a screen that is never drawn again it says in the end that the time is over.
      placed(t('join.valid', { minutes, time: HERE }), moment(expiresAt, 'ago')),
      '',
      t('join.waiting'),
    ),
    keyboard: [
      ...(command.length <= LONGEST_COPY
        ? [[{ text: t('button.copyCommand'), copy_text: { text: command } }]]
        : []),
      [button(t('button.newCommand'), 'join', { server: server.id })],
      [button(t('button.back'), 'server', { server: server.id }), button(t('button.fleet'), 'home', {})],
    ],
  }
}
