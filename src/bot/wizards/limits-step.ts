import { type LimitKind, choiceOf, choicesFor, firstUseChoice, tapped, typedAny } from '../limit-choices.ts'
import { type LimitsDraft } from '../limit-input.ts'
import type { T } from '../i18n/texts.ts'
import { type ServerChoice, chosenServers } from './server-step.ts'
import { again, type Choice, type Step } from './wizard.ts'

/** What is asked of a new client. A period can be set on its card: few know beforehand that they want one. */
const ASKED: readonly LimitKind[] = ['traffic', 'end', 'addresses']

/** The argument of a button for no limit: here, where each row has three, that is what tapping again is for. */
const NONE = '0'

/** All limits of a new client in one line. */
export function limitWords(draft: LimitsDraft, t: T): string {
  const { limitBytes, days, until, ipLimit } = draft
  const parts = [
    ...(limitBytes === null ? [] : [choiceOf('traffic', draft, t)]),
    ...(days === null && until === null ? [] : [choiceOf('end', draft, t)]),
    ...(ipLimit === null ? [] : [t('limits.addressCount', { count: ipLimit })]),
  ]
  return parts.length === 0 ? t('limits.none') : parts.join(', ')
}

/** Whether a button says what is chosen already. */
function isChosen(draft: LimitsDraft, { verb, arg = '' }: Pick<Choice, 'verb' | 'arg'>): boolean {
  return JSON.stringify(tapped(draft, verb, arg)) === JSON.stringify(draft)
}

/** All limits on one screen: a row of buttons for each, what is chosen marked; tapped again, it is taken back. */
export function limitsStep<A extends { limits: LimitsDraft } & ServerChoice>(): Step<A> {
  const marked = (kind: LimitKind, draft: LimitsDraft, t: T): Choice[] =>
    choicesFor(kind, t)
      .filter(({ arg }) => arg !== NONE)
      .map((choice) => (isChosen(draft, choice) ? { ...choice, text: `• ${choice.text}` } : choice))
  return {
    ask(answers, { t, fleet }) {
      const { limits } = answers
      return {
        lines: [
          t('limits.askAll'),
          ...ASKED.map((kind) => `${t(`limits.kind.${kind}`)}: ${choiceOf(kind, limits, t)}`),
          chosenServers(answers, fleet).length > 1 && t('limits.perServer'),
          '',
          t('limits.typeAny'),
        ],
        rows: [
          ...ASKED.map((kind) => marked(kind, limits, t)),
          [firstUseChoice(limits, t)],
          [{ text: t('button.done'), verb: 'done', style: 'success' }],
        ],
      }
    },
    answer(answers, input, { t, runtime }) {
      if (input.kind === 'other') return { stay: answers, error: t('wizard.typeText') }
      if (input.kind === 'tap' && input.verb === 'done') return { next: answers }
      const limits =
        input.kind === 'text'
          ? typedAny(answers.limits, input.text, runtime.now())
          : tapped(answers.limits, input.verb, isChosen(answers.limits, input) ? NONE : input.arg)
      if (limits !== undefined) return again({ ...answers, limits })
      return input.kind === 'text' ? { stay: answers, error: t('limits.bad.any') } : again(answers)
    },
  }
}
