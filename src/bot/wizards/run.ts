import { randomId } from '#src/runtime.ts'
import { html, lines } from '../html.ts'
import { short } from '../buttons.ts'
import type { Keyboard, Screen } from '../types.ts'
import type { Choice, Input, Refusal, Wizard, WizardEnv } from './wizard.ts'

/** One run of a wizard between two updates. JSON. */
export interface Run {
  wizard: string
  /** Names this run: the batch it starts is named for it. */
  id: string
  /** ms */
  startedAt: number
  /** Where it was begun: the address of the screen that Cancel leads back to. */
  from: string
  /** Moves with every answer, so that a button of an earlier question is known as such. */
  turn: number
  step: number
  answers: unknown
  error: string | undefined
  status: 'asking' | 'finishing' | 'cancelled'
}

/** A wizard whose answers only itself can read. */
export type AnyWizard = Wizard<unknown, unknown>

/** Buttons of wizards: `w.<token>.<verb>.<arg>`. */
const PREFIX = 'w.'

export function isWizardTap(data: string): boolean {
  return data.startsWith(PREFIX)
}

function tokenOf(run: Run): string {
  return run.id.slice(0, 6) + run.turn.toString(36)
}

/** The button as an input of this run; undefined when it belongs to another run, or to an earlier question. */
export function readTap(run: Run, data: string): Input | undefined {
  const [prefix, token, verb, arg] = data.split('.')
  if (`${prefix}.` !== PREFIX || token !== tokenOf(run) || verb === undefined) return undefined
  return { kind: 'tap', verb, arg: arg ?? '' }
}

export function beginRun(
  name: string,
  wizard: AnyWizard,
  args: unknown,
  env: WizardEnv,
  from: string,
): Run | Refusal {
  const begun = wizard.begin(args as never, env)
  if ('refuse' in begun) return begun
  return {
    wizard: name,
    id: randomId(env.runtime, 96),
    startedAt: env.runtime.now(),
    from,
    turn: 0,
    step: 0,
    answers: begun.answers,
    error: undefined,
    status: 'asking',
  }
}

/** The run after an input. Knows nothing of Telegram and changes nothing. */
export function advance(wizard: AnyWizard, run: Run, input: Input, env: WizardEnv): Run {
  const answers = run.answers as never
  const steps = wizard.steps(answers, env)
  const moved = { ...run, turn: run.turn + 1, error: undefined }
  if (input.kind === 'tap' && input.verb === 'cancel') return { ...moved, status: 'cancelled' }
  if (input.kind === 'tap' && input.verb === 'back') {
    const within = steps[run.step]?.back?.(answers)
    if (within !== undefined) return { ...moved, answers: within }
    return run.step === 0 ? { ...moved, status: 'cancelled' } : { ...moved, step: run.step - 1 }
  }
  const step = steps[run.step]
  if (step === undefined) return { ...moved, step: Math.max(0, steps.length - 1) }
  const result = step.answer(answers, input, env)
  if ('stay' in result) {
    // Something was sent where there is only something to tap: it is taken out of the chat, but not without a word.
    const isUnheard = input.kind !== 'tap' && result.stay === answers && result.error === undefined
    return { ...moved, answers: result.stay, error: isUnheard ? env.t('wizard.tap') : result.error }
  }
  const isLast = run.step + 1 >= wizard.steps(result.next as never, env).length
  return isLast
    ? { ...moved, answers: result.next, status: 'finishing' }
    : { ...moved, answers: result.next, step: run.step + 1 }
}

/** The question a run is at, with Back and Cancel under it. */
export function runScreen(wizard: AnyWizard, run: Run, env: WizardEnv): Screen {
  const { t } = env
  const answers = run.answers as never
  const steps = wizard.steps(answers, env)
  const question = steps[Math.min(run.step, steps.length - 1)]?.ask(answers, env) ?? { lines: [], rows: [] }
  const token = tokenOf(run)
  const toButton = ({ text, verb, arg, style }: Choice): Keyboard[number][number] => ({
    text: short(text),
    callback_data: `${PREFIX}${token}.${verb}${arg === undefined ? '' : `.${arg}`}`,
    ...(style === undefined ? {} : { style }),
  })
  const parts = question.lines.filter((line) => line !== undefined && line !== false)
  return {
    place: { path: wizard.crumbs(answers, env), step: { n: run.step + 1, total: steps.length } },
    text: lines(
      ...parts.map((line) => html`${line}`),
      env.group && html`<i>${t('wizard.reply')}</i>`,
      run.error !== undefined && html`\n⚠️ ${run.error}`,
    ),
    keyboard: [
      ...question.rows,
      [
        { text: t('button.back'), verb: 'back' },
        { text: t('button.cancel'), verb: 'cancel' },
      ],
    ].map((row) => row.map(toButton)),
  }
}
