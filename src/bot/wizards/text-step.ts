import type { T } from '../i18n/texts.ts'
import { again, type Answered, type Choice, type Step, type WizardEnv } from './wizard.ts'

/** A question answered by typing, or by a button with an offer. */
export function textStep<A>(options: {
  question: (answers: A, env: WizardEnv) => (string | false | undefined)[]
  /** Offers, each with the value it stands for; taken by their place, since a value may not fit a button. */
  offers?: (answers: A, env: WizardEnv) => { text: string; value: string }[]
  /** May be left out, under this label. */
  skip?: (t: T) => string
  take: (answers: A, text: string, env: WizardEnv) => Answered<A>
}): Step<A> {
  const offers = options.offers ?? (() => [])
  return {
    ask(answers, env) {
      const rows: Choice[][] = offers(answers, env).map((offer, i) => [
        // The first is what is suggested.
        { text: offer.text, verb: 'offer', arg: String(i), ...(i === 0 ? { style: 'primary' } : {}) },
      ])
      if (options.skip !== undefined) rows.push([{ text: options.skip(env.t), verb: 'skip' }])
      return { lines: options.question(answers, env), rows }
    },
    answer(answers, input, env) {
      if (input.kind === 'text') return options.take(answers, input.text, env)
      if (input.kind === 'other') return { stay: answers, error: env.t('wizard.typeText') }
      if (input.verb === 'skip' && options.skip !== undefined) return options.take(answers, '', env)
      const offer = input.verb === 'offer' ? offers(answers, env)[Number(input.arg)] : undefined
      return offer === undefined ? again(answers) : options.take(answers, offer.value, env)
    },
  }
}
