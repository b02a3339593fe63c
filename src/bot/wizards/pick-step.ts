import type { HtmlPart } from '../html.ts'
import { pageOf } from '../paging.ts'
import { type Answered, type Choice, type Step, type WizardEnv, again } from './wizard.ts'

/** One, several or all of a list that may be long. JSON. */
export interface Picked {
  all: boolean
  /** Keys of what is ticked, also of what is not on the list any more. */
  keys: string[]
  page: number
  /** What was typed to shorten the list. */
  search: string
}

export const nothingPicked: Picked = { all: false, keys: [], page: 0, search: '' }

interface Item {
  /** Letters, digits, dash and underscore, 40 at most. */
  key: string
  /** What typed words are looked for in. */
  name: string
  text: string
}

interface Options<A> {
  question: (answers: A, env: WizardEnv) => (HtmlPart | false | undefined)[]
  /** The button for all of them. */
  all: (env: WizardEnv) => string
  /** Said where a typed word is in no name. */
  none: (env: WizardEnv, search: string) => string
  items: (answers: A, env: WizardEnv) => Item[]
  get: (answers: A) => Picked
  set: (answers: A, picked: Picked) => A
  /** Why a choice cannot be gone on with. */
  check?: (answers: A, env: WizardEnv) => string | undefined
}

const plain = (text: string): string => text.normalize('NFC').toLowerCase()

/** One, several or all of a list: a page of it at a time, shortened by what is typed. */
export function pickStep<A>(options: Options<A>): Step<A> {
  const { get, set, items, check = () => undefined } = options
  const matching = (answers: A, env: WizardEnv, search: string): Item[] =>
    items(answers, env).filter(({ name }) => plain(name).includes(plain(search)))
  const ticked = (answers: A, env: WizardEnv): Item[] =>
    items(answers, env).filter(({ key }) => get(answers).keys.includes(key))

  function submit(answers: A, env: WizardEnv): Answered<A> {
    const error = check(answers, env)
    return error === undefined ? { next: answers } : { stay: answers, error }
  }

  return {
    ask(answers, env) {
      const { t } = env
      const picked = get(answers)
      const at = pageOf(matching(answers, env, picked.search), picked.page)
      const count = ticked(answers, env).length
      const row = ({ key, text }: Item): Choice[] => [
        { text: `${picked.keys.includes(key) && !picked.all ? '☑' : '☐'} ${text}`, verb: 'pick', arg: key },
      ]
      const turn = (text: string, page: number): Choice => ({
        text,
        verb: 'page',
        arg: String((page + at.pages) % at.pages),
      })
      return {
        lines: [
          ...options.question(answers, env),
          at.pages > 1 && t('wizard.typeToSearch'),
          picked.search !== '' && t('wizard.searched', { search: picked.search }),
        ],
        rows: [
          [{ text: options.all(env), verb: 'all', style: 'primary' as const }],
          ...at.items.map(row),
          at.pages <= 1
            ? []
            : [turn('◀', at.page - 1), turn(`${at.page + 1}/${at.pages}`, at.page), turn('▶', at.page + 1)],
          picked.search === '' ? [] : [{ text: t('button.showAll'), verb: 'unsearch' }],
          count === 0 || picked.all
            ? []
            : [{ text: t('button.continue', { n: count }), verb: 'go', style: 'success' as const }],
        ].filter((buttons) => buttons.length > 0),
      }
    },
    answer(answers, input, env) {
      const picked = get(answers)
      if (input.kind === 'other') return { stay: answers, error: env.t('wizard.typeText') }
      if (input.kind === 'text') {
        const search = input.text.slice(0, 64)
        return matching(answers, env, search).length === 0
          ? { stay: answers, error: options.none(env, search) }
          : again(set(answers, { ...picked, search, page: 0 }))
      }
      const { verb, arg } = input
      switch (verb) {
        case 'all':
          return submit(set(answers, { ...nothingPicked, all: true }), env)
        case 'go':
          return ticked(answers, env).length === 0
            ? again(answers)
            : submit(set(answers, { ...picked, all: false }), env)
        case 'page':
          return again(set(answers, { ...picked, page: Number(arg) }))
        case 'unsearch':
          return again(set(answers, { ...picked, search: '', page: 0 }))
        case 'pick': {
          if (!items(answers, env).some(({ key }) => key === arg)) return again(answers)
          const keys = picked.keys.includes(arg)
            ? picked.keys.filter((key) => key !== arg)
            : [...picked.keys, arg]
          return again(set(answers, { ...picked, all: false, keys }))
        }
        default:
          return again(answers)
      }
    },
  }
}
