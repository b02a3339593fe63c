import { button } from '../buttons.ts'
import { encodeTap } from '../callback-data.ts'
import { bytes } from '../format.ts'
import { serversOf } from '../screens/client-servers.ts'
import type { Services } from '../services.ts'
import { askFirst } from './ask.ts'
import { everywhere, personAt, switching } from './client.ts'
import type { Routes } from './route.ts'

type Asking = 'disableClient' | 'resetTraffic' | 'deleteClient' | 'removeFrom'

/** The questions before something is switched off for a client, or taken away. */
export function askClientRoutes(s: Services): Routes<Asking> {
  return {
    disableClient: {
      need: 'clients.update',
      async run(ctx, at) {
        const { t } = ctx
        const person = personAt(s, at)
        if (person === undefined) return { text: t('client.gone'), alert: true }
        const targets = switching(person, false)
        await askFirst(
          s,
          ctx,
          encodeTap('disableClient', at),
          { kind: 'tasks', operation: 'clients.update', targets },
          {
            crumbs: [t('crumb.clients'), person.email],
            question: t('client.disableQuestion', { name: person.email }),
            effect: t('client.disableEffect', { count: targets.length }),
            yes: t('button.disable'),
            back: button(t('button.back'), 'client', { ...at, page: 0 }),
          },
        )
      },
    },
    resetTraffic: {
      need: 'clients.resetTraffic',
      async run(ctx, at) {
        const { t } = ctx
        const person = personAt(s, at)
        if (person === undefined) return { text: t('client.gone'), alert: true }
        const input = { email: person.email }
        const targets = person.placements.map(({ server }) => ({ serverId: server.id, input }))
        await askFirst(
          s,
          ctx,
          encodeTap('resetTraffic', at),
          { kind: 'tasks', operation: 'clients.resetTraffic', targets },
          {
            crumbs: [t('crumb.clients'), person.email, t('crumb.limits')],
            question: t('client.resetQuestion', { name: person.email }),
            effect: t('client.resetEffect', { used: bytes(person.up + person.down) }),
            yes: t('button.resetTraffic'),
            back: button(t('button.back'), 'limits', at),
          },
        )
      },
    },
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
