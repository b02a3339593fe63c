import type { Fleet } from '#src/fleet/types.ts'
import { short } from '../buttons.ts'
import { nameKey } from '../name-key.ts'
import { type Picked, pickStep } from './pick-step.ts'
import { type ServerChoice, chosenServers } from './server-step.ts'
import type { Step } from './wizard.ts'

/** Which inbounds of the chosen servers, by their tags. */
export interface InboundChoice extends ServerChoice {
  tags: Picked
}

/** Inbounds of one name, and on which servers they are. */
export interface TagEntry {
  tag: string
  port: number
  servers: number[]
}

export function tagsOf(answers: ServerChoice, fleet: Fleet): TagEntry[] {
  return fleet.view.tags(chosenServers(answers, fleet).map((server) => server.id))
}

/** Of these the tags meant; where there is only one, that one: it is not asked for. */
export function tagsMeant({ tags: { all, keys } }: InboundChoice, entries: readonly TagEntry[]): string[] {
  const known = entries.map((entry) => entry.tag)
  return all || known.length === 1 ? known : known.filter((tag) => keys.includes(nameKey(tag)))
}

/** One, several or all inbounds: of the chosen servers all there are, unless told otherwise. */
export function inboundStep<A extends InboundChoice>(
  entries: (answers: A, fleet: Fleet) => TagEntry[] = tagsOf,
): Step<A> {
  return pickStep<A>({
    question: (_, { t }) => [t('addClient.inbounds'), t('wizard.pickInbounds')],
    all: ({ t }) => t('button.allInbounds'),
    none: ({ t }, search) => t('wizard.noInbound', { search }),
    items(answers, { fleet }) {
      const all = chosenServers(answers, fleet).length
      return entries(answers, fleet).map(({ tag, port, servers }) => ({
        key: nameKey(tag),
        name: tag,
        text: `${short(tag, 24)} · ${port}${servers.length < all ? ` · ${servers.length}/${all} 🖥` : ''}`,
      }))
    },
    get: (answers) => answers.tags,
    set: (answers, tags) => ({ ...answers, tags }),
  })
}
