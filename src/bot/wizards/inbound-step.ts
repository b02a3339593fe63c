import type { Fleet } from '#src/fleet/types.ts'
import { nameKey } from '../name-key.ts'
import { type Picked, pickStep } from './pick-step.ts'
import { type ServerChoice, chosenServers } from './server-step.ts'
import type { Step } from './wizard.ts'

/** Which inbounds of the chosen servers, by their tags. */
export interface InboundChoice extends ServerChoice {
  tags: Picked
}

export function tagsOf(
  answers: ServerChoice,
  fleet: Fleet,
): { tag: string; port: number; servers: number[] }[] {
  return fleet.view.tags(chosenServers(answers, fleet).map((server) => server.id))
}

/** The tags meant, where there is only one that one: it is not asked for. */
export function tagsMeant(answers: InboundChoice, fleet: Fleet): string[] {
  const known = tagsOf(answers, fleet).map((entry) => entry.tag)
  const { all, keys } = answers.tags
  return all || known.length === 1 ? known : known.filter((tag) => keys.includes(nameKey(tag)))
}

/** One, several or all inbounds of the chosen servers. */
export function inboundStep<A extends InboundChoice>(): Step<A> {
  return pickStep<A>({
    question: (_, { t }) => [t('addClient.inbounds'), t('wizard.pickInbounds')],
    all: ({ t }) => t('button.allInbounds'),
    none: ({ t }, search) => t('wizard.noInbound', { search }),
    items(answers, { fleet }) {
      const all = chosenServers(answers, fleet).length
      return tagsOf(answers, fleet).map(({ tag, port, servers }) => ({
        key: nameKey(tag),
        name: tag,
        text: `${tag} · ${port}${servers.length < all ? ` · ${servers.length}/${all} 🖥` : ''}`,
      }))
    },
    get: (answers) => answers.tags,
    set: (answers, tags) => ({ ...answers, tags }),
  })
}
