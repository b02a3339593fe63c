import type { Fleet, Server } from '#src/fleet/types.ts'
import { button } from '../buttons.ts'
import { isReachable, namesOf } from '../format.ts'
import { serverLabel } from '../server-list.ts'
import { type Html, html } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { type Picked, nothingPicked, pickStep } from './pick-step.ts'
import type { Refusal, Step } from './wizard.ts'

/** Which servers a change is for: all of them, or those chosen. */
export interface ServerChoice {
  /** Given by where the wizard was started; 0: ask. */
  from: number
  /** By their ids. */
  servers: Picked
}

export function noServers(from: number): ServerChoice {
  return { from, servers: { ...nothingPicked, keys: from === 0 ? [] : [String(from)] } }
}

/** Servers a change can be meant for: those that are switched on. */
export function candidates(fleet: Fleet): Server[] {
  return fleet.servers.list().filter((server) => server.enabled)
}

/** True where there is something to ask. */
export function asksServers(answers: ServerChoice, fleet: Fleet): boolean {
  return answers.from === 0 && !fleet.servers.isSingle()
}

export function chosenServers(answers: ServerChoice, fleet: Fleet): Server[] {
  const servers = candidates(fleet)
  if (answers.servers.all) return servers
  if (answers.from === 0 && fleet.servers.isSingle()) return servers.slice(0, 1)
  return servers.filter((server) => answers.servers.keys.includes(String(server.id)))
}

/** What was chosen, in words: "All servers (5)", or a few names. */
export function choiceWords(servers: Server[], answers: ServerChoice, t: T): string {
  return answers.servers.all
    ? `${t('button.allServers')} (${servers.length})`
    : namesOf(servers.map((server) => server.name))
}

/** Why a form cannot begin: there is no server to change, or the one it is begun from is switched off. */
export function refusedServers(answers: ServerChoice, fleet: Fleet, t: T): Refusal | undefined {
  const meant = asksServers(answers, fleet) ? candidates(fleet) : chosenServers(answers, fleet)
  if (meant.length > 0) return undefined
  const server = answers.from === 0 && fleet.servers.isSingle() ? fleet.servers.default().id : answers.from
  if (server === 0)
    return { refuse: t('wizard.allDisabled'), next: [[button(t('button.servers'), 'servers', { page: 0 })]] }
  if (fleet.servers.find(server) === undefined) return { refuse: t('errors.SERVER_NOT_FOUND', { server }) }
  const enable = [button(t('button.enable'), 'toggleServer', { server }, 'success')]
  return { refuse: t('errors.SERVER_DISABLED'), next: [enable] }
}

/** "3 of 5 reachable, 2 will follow". */
export function reachLine(servers: Server[], t: T): Html | undefined {
  const reachable = servers.filter(isReachable).length
  const rest = servers.length - reachable
  const line = t('all.reachable', { reachable, total: servers.length })
  const [only] = servers.length === 1 ? servers : []
  // Of one server there is only one thing worth a word.
  if (only !== undefined) return rest === 0 ? undefined : html`\n${t('all.oneAway', { name: only.name })}`
  return html`\n${line}${rest === 0 ? '' : ` ${t('all.follow', { count: rest })}`}`
}

interface Asking<A> {
  question: (t: T) => string
  /** Refuses a choice with a reason. */
  check?: (servers: Server[], t: T, fleet: Fleet) => string | undefined
  /** Which servers there are to choose from. */
  among?: (answers: A, fleet: Fleet) => Server[]
}

/** One, several or all servers. */
export function serverStep<A extends ServerChoice>(asking: Asking<A>): Step<A> {
  const { question, check = () => undefined, among = (_, fleet) => candidates(fleet) } = asking
  return pickStep<A>({
    question: (_, { t }) => [question(t), t('wizard.pickServers')],
    all: ({ t }) => t('button.allServers'),
    none: ({ t }, search) => t('wizard.noServer', { search }),
    items: (answers, { fleet }) =>
      among(answers, fleet).map((server) => ({
        key: String(server.id),
        name: server.name,
        text: serverLabel(server),
      })),
    get: (answers) => answers.servers,
    set: (answers, servers) => ({ ...answers, servers }),
    check: (answers, { fleet, t }) => check(chosenServers(answers, fleet), t, fleet),
  })
}
