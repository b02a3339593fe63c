import type { Server, TaskView } from '#src/fleet/types.ts'
import { button, pager, short } from '../buttons.ts'
import { moment } from '../format.ts'
import { html, lines } from '../html.ts'
import { errorWords, type T } from '../i18n/texts.ts'
import type { Paged } from '../paging.ts'
import type { Screen } from '../types.ts'

/** Changes on one page: each has a button of its own. */
export const WAITING_PER_PAGE = 6

/** A change that waits, in words. */
export interface WaitingItem {
  task: TaskView & { begun: boolean }
  doing: string
}

export interface WaitingModel {
  server: Server
  items: Paged<WaitingItem>
  total: number
}

/** What waits for a server, oldest first, and a way to call off what it cannot have done already. */
export function waitingScreen({ server, items, total }: WaitingModel, t: T): Screen {
  const at = { server: server.id }
  return {
    place: { path: [server.name, t('crumb.waiting')], page: items },
    text: lines(
      total === 0 ? t('waiting.none') : t(server.enabled ? 'waiting.inOrder' : 'waiting.untilEnabled'),
      ...items.items.flatMap(({ task, doing }) => [
        '',
        html`⏳ <b>${short(doing, 100)}</b> · ${moment(task.createdAt, 'ago')}`,
        task.error !== null && html`<i>${short(errorWords(t, task.error), 200)}</i>`,
        task.begun && t('waiting.begun'),
      ]),
    ),
    keyboard: [
      ...items.items
        .filter(({ task }) => !task.begun)
        .map(({ task, doing }) => [
          button(t('button.callOff', { what: doing }), 'callOff', { ...at, task: task.id }),
        ]),
      ...pager(items, 'waiting', (page) => ({ ...at, page })),
      [
        button(t('button.back'), 'server', at),
        button(t('button.refresh'), 'waiting', { ...at, page: items.page }),
      ],
    ],
  }
}
