import type { OperationInput } from '#src/contract/index.ts'
import type { ClientRow } from '#src/fleet/types.ts'
import { inRows } from '../buttons.ts'
import { type LimitKind, choiceOf, choicesFor, firstUseChoice, tapped, typed } from '../limit-choices.ts'
import { type LimitsDraft, endInput, noLimits } from '../limit-input.ts'
import { everywhere, personAt } from '../routes/client.ts'
import type { Services } from '../services.ts'
import { again, type Step, type Wizard } from './wizard.ts'

interface Answers {
  email: string
  kind: LimitKind
  draft: LimitsDraft
}

/** As many buttons as a phone shows beside each other with words in them. */
const PER_ROW = 3

/** A client's limits as a draft: what a question begins with. */
function draftOf(client: ClientRow): LimitsDraft {
  const { limitBytes, expiresAt, lastsDays, ipLimit, resetDays } = client
  return {
    ...noLimits,
    limitBytes,
    ipLimit,
    resetDays,
    days: lastsDays,
    until: lastsDays === null ? expiresAt : null,
    fromFirstUse: lastsDays !== null,
  }
}

const question: Step<Answers> = {
  ask({ kind, draft }, { t }) {
    const choices = choicesFor(kind, t)
    return {
      lines: [t(`limits.ask.${kind}`), t('limits.now', { limit: choiceOf(kind, draft, t) })],
      rows: [...inRows(choices, PER_ROW), ...(kind === 'end' ? [[firstUseChoice(draft, t)]] : [])],
    }
  },
  answer(answers, input, { t, runtime }) {
    const { kind, draft } = answers
    if (input.kind === 'other') return { stay: answers, error: t('wizard.typeText') }
    if (input.kind === 'text') {
      const next = typed(draft, kind, input.text, runtime.now())
      return next === undefined
        ? { stay: answers, error: t(`limits.bad.${kind}`) }
        : { next: { ...answers, draft: next } }
    }
    const next = tapped(draft, input.verb, input.arg)
    if (next === undefined) return again(answers)
    // The switch alone says nothing yet.
    return input.verb === kind ? { next: { ...answers, draft: next } } : again({ ...answers, draft: next })
  },
}

function changeOf({ kind, draft }: Answers, now: number): Omit<OperationInput<'clients.update'>, 'email'> {
  switch (kind) {
    case 'traffic':
      return { limitBytes: draft.limitBytes }
    case 'end':
      return endInput(draft, now)
    case 'addresses':
      return { ipLimit: draft.ipLimit }
    case 'period':
      return { resetDays: draft.resetDays }
  }
}

/** One question: a new limit of a client, on all of its servers. */
export function editLimitWizard(
  s: Services,
): Wizard<Answers, { server: number; client: number; limit: LimitKind }> {
  return {
    need: 'clients.update',
    begin({ limit: kind, ...at }, { t }) {
      const person = personAt(s, at)
      const client = person?.placements[0]?.client
      if (person === undefined || client === undefined) return { refuse: t('client.gone') }
      return { answers: { email: person.email, kind, draft: draftOf(client) } }
    },
    crumbs: ({ email, kind }, { t }) => [t('crumb.clients'), email, t(`limits.kind.${kind}`)],
    steps: () => [question],
    origin: () => 0,
    async finish(answers, { id, startedAt }, ctx) {
      const person = s.fleet.view.person(answers.email)
      const change = { email: answers.email, ...changeOf(answers, startedAt) }
      const targets = everywhere(person, answers.email).map((serverId) => ({ serverId, input: change }))
      await s.runBatch(ctx, { operation: 'clients.update', targets, id: `wiz_${id}` })
    },
  }
}
