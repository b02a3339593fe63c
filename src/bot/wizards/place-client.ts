import type { ClientInput } from '#src/contract/index.ts'
import type { ClientRow, Fleet, Server } from '#src/fleet/types.ts'
import { button } from '../buttons.ts'
import { namesOf } from '../format.ts'
import type { T } from '../i18n/texts.ts'
import { personAt } from '../routes/client.ts'
import type { Services } from '../services.ts'
import type { Keyboard } from '../types.ts'
import { type InboundChoice, type TagEntry, inboundStep, tagsMeant } from './inbound-step.ts'
import { nothingPicked } from './pick-step.ts'
import { asksServers, candidates, chosenServers, noServers, reachLine, serverStep } from './server-step.ts'
import { again, type Step, type Wizard } from './wizard.ts'

interface Answers extends InboundChoice {
  email: string
}

/** The inbounds of these servers that the client does not stand in yet. */
function free(email: string, servers: readonly Server[], fleet: Fleet): TagEntry[] {
  const taken = new Set(
    (fleet.view.person(email)?.placements ?? []).flatMap(({ server, client }) =>
      fleet.view
        .inbounds(server.id)
        .filter(({ id }) => client.inbounds.includes(id))
        .map(({ tag }) => `${server.id} ${tag}`),
    ),
  )
  return fleet.view
    .tags(servers.map(({ id }) => id))
    .map((entry) => ({ ...entry, servers: entry.servers.filter((id) => !taken.has(`${id} ${entry.tag}`)) }))
    .filter((entry) => entry.servers.length > 0)
}

/** Servers with an inbound it does not stand in. */
function serversFor(email: string, fleet: Fleet): Server[] {
  const all = candidates(fleet)
  const open = new Set(free(email, all, fleet).flatMap(({ servers }) => servers))
  return all.filter(({ id }) => open.has(id))
}

const freeTags = (answers: Answers, fleet: Fleet): TagEntry[] =>
  free(answers.email, chosenServers(answers, fleet), fleet)

function targetsOf(answers: Answers, fleet: Fleet): { serverId: number; tag: string }[] {
  const tags = tagsMeant(answers, freeTags(answers, fleet))
  return freeTags(answers, fleet)
    .filter(({ tag }) => tags.includes(tag))
    .flatMap(({ tag, servers }) => servers.map((serverId) => ({ serverId, tag })))
}

/** The same client once more: its credentials and its limits. Days that have begun end there when they end here. */
function sameClient(row: ClientRow): ClientInput {
  const { email, uuid, password, subscriptionId, flow, enabled, comment, telegramId } = row
  const { limitBytes, expiresAt, resetDays, ipLimit } = row
  const lastsDays = expiresAt === null ? row.lastsDays : null
  const limits = { limitBytes, expiresAt, lastsDays, resetDays, ipLimit }
  return { email, uuid, password, subscriptionId, flow, enabled, comment, telegramId, ...limits }
}

const summary: Step<Answers> = {
  ask(answers, { fleet, t }) {
    const targets = targetsOf(answers, fleet)
    const servers = chosenServers(answers, fleet).filter(({ id }) =>
      targets.some(({ serverId }) => serverId === id),
    )
    return {
      lines: [
        t('addClient.sumName', { name: answers.email }),
        !fleet.servers.isSingle() &&
          t('addInbound.sumServers', { servers: namesOf(servers.map(({ name }) => name)) }),
        t('addClient.sumInbounds', { tags: namesOf([...new Set(targets.map(({ tag }) => tag))]) }),
        t('placeClient.same'),
        reachLine(servers, t),
      ],
      rows: [[{ text: t('button.add'), verb: 'create', style: 'success' }]],
    }
  },
  answer: (answers, input) =>
    input.kind === 'tap' && input.verb === 'create' ? { next: answers } : again(answers),
}

/** What makes room where a client stands everywhere. */
const further = (t: T): Keyboard => [
  [
    button(t('button.addInbound'), 'addInbound', { server: 0 }),
    button(t('button.addServer'), 'addServer', {}),
  ],
]

/** A client that is there already, on further servers and in further inbounds: the same one, with the same limits. */
export function placeClientWizard(s: Services): Wizard<Answers, { server: number; client: number }> {
  const servers = serverStep<Answers>({
    question: (t) => t('addClient.servers'),
    among: ({ email }, fleet) => serversFor(email, fleet),
  })
  const inbounds = inboundStep<Answers>(freeTags)
  return {
    need: 'clients.add',
    begin(at, { fleet, t }) {
      const email = personAt(s, at)?.email
      if (email === undefined) return { refuse: t('client.gone') }
      return serversFor(email, fleet).length === 0
        ? { refuse: t('placeClient.nowhere', { name: email }), next: further(t) }
        : { answers: { ...noServers(0), email, tags: nothingPicked } }
    },
    crumbs: ({ email }, { t }) => [t('crumb.clients'), email, t('crumb.addTo')],
    steps: (answers, { fleet }) => [
      ...(asksServers(answers, fleet) ? [servers] : []),
      ...(freeTags(answers, fleet).length === 1 ? [] : [inbounds]),
      summary,
    ],
    origin: () => 0,
    async finish(answers, { id }, ctx) {
      const row = s.fleet.view.person(answers.email)?.placements[0]?.client
      const client = row === undefined ? undefined : sameClient(row)
      const targets = targetsOf(answers, s.fleet).flatMap(({ serverId, tag }) =>
        client === undefined ? [] : [{ serverId, input: { id: tag, clients: [client] } }],
      )
      await s.runBatch(ctx, { operation: 'clients.add', targets, id: `wiz_${id}` })
    },
  }
}
