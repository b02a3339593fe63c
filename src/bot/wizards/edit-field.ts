import { editFields } from '../callback-data.ts'
import { html } from '../html.ts'
import type { Services } from '../services.ts'
import { nameProblem } from './add-server.ts'
import { textStep } from './text-step.ts'
import type { Step, Wizard } from './wizard.ts'

type Field = (typeof editFields)[number]

interface Answers {
  server: number
  field: Field
  value: string
}

/** What fits a screen beside everything else. */
const LONGEST = { name: 40, publicAddress: 253, alias: 40, notes: 500, region: 40 } as const
/** A host name or an IP address, as it stands in a share link. */
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$/

/** One question: the new value of one field of a server. */
export function editFieldWizard(s: Services): Wizard<Answers, { server: number; field: Field }> {
  const value: Step<Answers> = {
    ...textStep<Answers>({
      question: ({ field, server }, { t }) => [
        field === 'alias' ? t('edit.ask.alias', { id: server }) : t(`edit.ask.${field}`),
      ],
      take(answers, text, { t }) {
        const { field, server } = answers
        if (text.length > LONGEST[field])
          return { stay: answers, error: t('edit.tooLong', { max: LONGEST[field] }) }
        if (field === 'name') {
          const problem = nameProblem(text, s, server)
          if (problem === 'taken')
            return { stay: answers, error: t('errors.SERVER_NAME_TAKEN', { name: text }) }
          if (problem === 'bad')
            return { stay: answers, error: t('addServer.badName', { max: LONGEST.name }) }
        }
        if (field === 'publicAddress' && text !== '' && !HOST.test(text)) {
          return { stay: answers, error: t('edit.badAddress') }
        }
        return { next: { ...answers, value: text } }
      },
    }),
  }
  return {
    need: 'admin',
    begin({ server, field }, { t }) {
      if (s.fleet.servers.find(server) === undefined)
        return { refuse: t('errors.SERVER_NOT_FOUND', { server }) }
      return { answers: { server, field, value: '' } }
    },
    crumbs: (answers, { fleet, t }) => [
      fleet.servers.find(answers.server)?.name ?? '?',
      t('crumb.edit'),
      t(`edit.${answers.field}`),
    ],
    steps: (answers, { fleet }) => [
      withClear(value, answers, fleet.servers.find(answers.server)?.[answers.field] ?? ''),
    ],
    origin: (answers) => answers.server,
    async finish({ server, field, value: text }, _run, ctx) {
      const edit = field === 'publicAddress' && text === '' ? { publicAddress: null } : { [field]: text }
      s.fleet.servers.edit(server, edit, ctx.who.actor)
      await s.showEdit(ctx, server)
    },
  }
}

/** Shows what stands there now, and lets it be taken away where the field may be empty. */
function withClear(step: Step<Answers>, { field }: Answers, now: string): Step<Answers> {
  const canClear = field !== 'name' && now !== ''
  return {
    ask(answers, env) {
      const { lines, rows } = step.ask(answers, env)
      const shown = now === '' ? '–' : now
      return {
        lines: [...lines, html`${env.t('edit.now')} <code>${shown}</code>`],
        rows: canClear ? [...rows, [{ text: env.t('button.clear'), verb: 'clear' }]] : rows,
      }
    },
    answer(answers, input, env) {
      if (canClear && input.kind === 'tap' && input.verb === 'clear')
        return { next: { ...answers, value: '' } }
      return step.answer(answers, input, env)
    },
  }
}
