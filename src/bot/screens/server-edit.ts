import type { Server } from '#src/fleet/types.ts'
import { button } from '../buttons.ts'
import { editFields } from '../callback-data.ts'
import { html, lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { Screen } from '../types.ts'
import { crumbs } from './crumbs.ts'

/** What is written about a server, with a button for each field. */
export function editScreen({ server }: { server: Server }, t: T): Screen {
  const fields = editFields.map((field) => {
    const value = server[field]
    return html`${t(`edit.${field}`)}: ${value === null || value === '' ? '–' : value}`
  })
  return {
    text: lines(crumbs(t, [server.name, t('crumb.edit')]), '', ...fields, '', t('edit.which')),
    keyboard: [
      ...editFields.map((field) => [button(t(`edit.${field}`), 'editField', { server: server.id, field })]),
      [button(t('button.back'), 'server', { server: server.id })],
    ],
  }
}

export interface JoinModel {
  server: Server
  command: string
  minutes: number
}

/** The line to paste on a new machine, and the wait for it. Turns into the server's screen when it has joined. */
export function joinScreen({ server, command, minutes }: JoinModel, t: T): Screen {
  return {
    text: lines(
      crumbs(t, [server.name, t('crumb.join')]),
      '',
      t('join.run'),
      html`<code>${command}</code>`,
      t('join.valid', { minutes }),
      '',
      t('join.waiting'),
    ),
    keyboard: [
      [button(t('button.newCommand'), 'join', { server: server.id }, 'primary')],
      [button(t('button.back'), 'server', { server: server.id }), button(t('button.fleet'), 'home', {})],
    ],
  }
}
