import type { Person, Server } from '#src/fleet/types.ts'
import { button, pager } from '../buttons.ts'
import { statusDot } from '../format.ts'
import { lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { pageOf } from '../paging.ts'
import type { Screen } from '../types.ts'

/** Where a client stands, or is on its way to. */
export function serversOf({ placements, waiting }: Person): Server[] {
  return [...placements.map(({ server }) => server), ...waiting]
}

/** From which server a client is to be taken. `at`: the placement the card was opened by. */
export function clientServersScreen(
  { person, at, page }: { person: Person; at: { server: number; client: number }; page: number },
  t: T,
): Screen {
  const shown = pageOf(serversOf(person), page)
  return {
    place: { path: [t('crumb.clients'), person.email, t('button.removeFrom')], page: shown },
    text: lines(t('client.removeWhich', { name: person.email })),
    keyboard: [
      ...shown.items.map((server) => [
        button(`${statusDot(server)} ${server.name}`, 'removeFrom', { ...at, from: server.id }),
      ]),
      ...pager(shown, 'clientServers', (to) => ({ ...at, page: to })),
      [button(t('button.back'), 'client', { ...at, page: 0 })],
    ],
  }
}
