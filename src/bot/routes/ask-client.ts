import { button } from '../buttons.ts'
import { encodeTap } from '../callback-data.ts'
import { serversOf } from '../screens/client-servers.ts'
import type { Services } from '../services.ts'
import { askFirst } from './ask.ts'
import { everywhere, personAt } from './client.ts'
import type { Routes } from './route.ts'

type Asking = 'deleteClient' | 'removeFrom'

/** The questions before something is taken away from a client. */
export function askClientRoutes(s: Services): Routes<Asking> {
  return {
    deleteClient: {
      need: 'clients.delete',
      async run(ctx, fields) {
        const { t } = ctx
        const person = personAt(s, fields)
        if (person === undefined) return { text: t('client.gone'), alert: true }
        // Also where it has yet to arrive: its addition waits in that server's queue, and this comes after it.
        const { email } = person
        const targets = everywhere(person, email).map((serverId) => ({ serverId, input: { email } }))
        await askFirst(
          s,
          ctx,
          encodeTap('deleteClient', fields),
          { kind: 'tasks', operation: 'clients.delete', targets },
          {
            crumbs: [t('crumb.clients'), person.email],
            question: t('client.deleteQuestion', { name: person.email }),
            effect: t('client.deleteEffect', { count: targets.length }),
            yes: t('button.delete'),
            back: button(t('button.back'), 'client', { ...fields, page: 0 }),
          },
        )
      },
    },
    removeFrom: {
      need: 'clients.delete',
      async run(ctx, { from, ...at }) {
        const { t } = ctx
        const person = personAt(s, at)
        const server = person && serversOf(person).find(({ id }) => id === from)
        if (person === undefined || server === undefined) return { text: t('client.gone'), alert: true }
        const { email } = person
        const targets = [{ serverId: from, input: { email } }]
        await askFirst(
          s,
          ctx,
          encodeTap('removeFrom', { ...at, from }),
          { kind: 'tasks', operation: 'clients.delete', targets },
          {
            crumbs: [t('crumb.clients'), email],
            question: t('client.removeQuestion', { name: email, server: server.name }),
            effect: t('client.removeEffect'),
            yes: t('button.remove'),
            back: button(t('button.back'), 'clientServers', { ...at, page: 0 }),
          },
        )
      },
    },
  }
}
