import { isLine, isName } from '#src/contract/primitives.ts'
import { nameKey } from '#src/fleet/server-input.ts'
import type { Services } from '../services.ts'
import { textStep } from './text-step.ts'
import type { Step, Wizard } from './wizard.ts'

interface Answers {
  name: string
  region: string
}

/** A name people can tell servers apart by; shown in every list, so not longer than a line. */
const LONGEST_NAME = 40
const LONGEST_REGION = 40

/** The name of a server that is free, or why this one is not. */
export function nameProblem(
  name: string,
  s: Pick<Services, 'fleet'>,
  own?: number,
): 'bad' | 'taken' | undefined {
  if (name.length > LONGEST_NAME || !isName(name)) return 'bad'
  const key = nameKey(name)
  const taken = s.fleet.servers.list().some((server) => nameKey(server.name) === key && server.id !== own)
  return taken ? 'taken' : undefined
}

/** Name, region, then the command to paste: the waiting is a screen, not a conversation. */
export function addServerWizard(s: Services): Wizard<Answers, Record<string, never>> {
  const name: Step<Answers> = textStep({
    question: (_, { t }) => [t('addServer.name'), t('addServer.nameHint')],
    take(answers, text, { t }) {
      const problem = nameProblem(text, s)
      if (problem === 'taken') return { stay: answers, error: t('errors.SERVER_NAME_TAKEN', { name: text }) }
      if (problem === 'bad') return { stay: answers, error: t('addServer.badName', { max: LONGEST_NAME }) }
      return { next: { ...answers, name: text } }
    },
  })
  const region: Step<Answers> = textStep({
    question: (answers, { t }) => [t('addServer.region', { name: answers.name })],
    skip: (t) => t('button.skip'),
    take: (answers, text, { t }) =>
      text.length > LONGEST_REGION || !isLine(text)
        ? { stay: answers, error: t('addServer.badRegion', { max: LONGEST_REGION }) }
        : { next: { ...answers, region: text } },
  })
  return {
    need: 'admin',
    begin: () => ({ answers: { name: '', region: '' } }),
    crumbs: (_, { t }) => [t('crumb.addServer')],
    steps: () => [name, region],
    origin: () => 0,
    async finish(answers, run, ctx) {
      // After a kill in the middle of this the server may be there already: made by this very run, so it is the one.
      const made = s.fleet.servers
        .list()
        .find((server) => server.name === answers.name && server.createdAt >= run.startedAt)
      const server = made ?? s.fleet.servers.create(answers, ctx.who.actor)
      await s.showJoin(ctx, server.id)
    },
  }
}
