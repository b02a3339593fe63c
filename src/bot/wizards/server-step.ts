import type { Fleet, Server } from '#src/fleet/types.ts'
import { isReachable, namesOf, statusDot } from '../format.ts'
import { type Html, html } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { pageOf } from '../paging.ts'
import { again, type Choice, type Step } from './wizard.ts'

/** Which servers a change is for: all of them, or those chosen. */
export interface ServerChoice {
  /** Given by where the wizard was started; 0: ask. */
  from: number
  all: boolean
  servers: number[]
  page: number
}

export function noServers(from: number): ServerChoice {
  return { from, all: false, servers: from === 0 ? [] : [from], page: 0 }
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
  if (answers.all) return servers
  if (answers.from === 0 && fleet.servers.isSingle()) return servers.slice(0, 1)
  return servers.filter((server) => answers.servers.includes(server.id))
}

/** What was chosen, in words: "All servers (5)", or a few names. */
export function choiceWords(servers: Server[], answers: ServerChoice, t: T): string {
  return answers.all
    ? `${t('button.allServers')} (${servers.length})`
    : namesOf(servers.map((server) => server.name))
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

/** One, several or all servers. `check` refuses a choice with a reason. */
export function serverStep<A extends ServerChoice>(
  question: (t: T) => string,
  check: (servers: Server[], t: T, fleet: Fleet) => string | undefined = () => undefined,
): Step<A> {
  const submit = (answers: A, fleet: Fleet, t: T): { next: A } | { stay: A; error?: string } => {
    const error = check(chosenServers(answers, fleet), t, fleet)
    return error === undefined ? { next: answers } : { stay: answers, error }
  }
  return {
    ask(answers, { fleet, t }) {
      const at = pageOf(candidates(fleet), answers.page)
      const rows: Choice[][] = at.items.map((server) => [
        {
          text: `${answers.servers.includes(server.id) && !answers.all ? '☑' : '☐'} ${statusDot(server)} ${server.name}`,
          verb: 'pick',
          arg: String(server.id),
        },
      ])
      const all: Choice = { text: t('button.allServers'), verb: 'all', style: 'primary' }
      const turn: Choice[] =
        at.pages <= 1
          ? []
          : [
              { text: '◀', verb: 'page', arg: String((at.page + at.pages - 1) % at.pages) },
              { text: `${at.page + 1}/${at.pages}`, verb: 'page', arg: String(at.page) },
              { text: '▶', verb: 'page', arg: String((at.page + 1) % at.pages) },
            ]
      const go: Choice[] =
        answers.servers.length === 0 || answers.all
          ? []
          : [{ text: t('button.continue', { n: answers.servers.length }), verb: 'go', style: 'success' }]
      return {
        lines: [question(t), t('wizard.pickServers')],
        rows: [[all], ...rows, turn, go].filter((row) => row.length > 0),
      }
    },
    answer(answers, input, { fleet, t }) {
      if (input.kind !== 'tap') return again(answers)
      if (input.verb === 'all') return submit({ ...answers, all: true, servers: [] }, fleet, t)
      if (input.verb === 'page') return again({ ...answers, page: Number(input.arg) })
      if (input.verb === 'go') return submit({ ...answers, all: false }, fleet, t)
      if (input.verb !== 'pick') return again(answers)
      const id = Number(input.arg)
      const servers = answers.servers.includes(id)
        ? answers.servers.filter((server) => server !== id)
        : [...answers.servers, id]
      return again({ ...answers, all: false, servers })
    },
  }
}
