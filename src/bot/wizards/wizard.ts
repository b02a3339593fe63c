import type { Fleet } from '#src/fleet/types.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Need } from '../access.ts'
import type { HtmlPart } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import type { BotContext, Keyboard } from '../types.ts'

/** What a wizard may look at. */
export interface WizardEnv {
  fleet: Fleet
  runtime: Runtime
  t: T
  /** In a group a typed answer must be a reply. */
  group: boolean
}

/** What a person answered: a button of the question, or typed text. */
export type Input =
  | { kind: 'tap'; verb: string; arg: string }
  | { kind: 'text'; text: string }
  | { kind: 'other' }

/** A button of a question. Verb and argument: letters, digits, dash and underscore, 40 together. */
export interface Choice {
  text: string
  verb: string
  arg?: string
  style?: 'danger' | 'success' | 'primary'
}

interface Question {
  lines: (HtmlPart | false | undefined)[]
  rows: Choice[][]
}

/** The answers with this one taken in, or the same question again, perhaps with what was wrong. */
export type Answered<A> = { next: A } | { stay: A; error?: string }

export interface Step<A> {
  /** Asks servers what the question needs to know, each time before it is asked. Never rejects. */
  look?(answers: A): Promise<A>
  ask(answers: A, env: WizardEnv): Question
  answer(answers: A, input: Input, env: WizardEnv): Answered<A>
  /** Where Back leads within the question, as to its first page; undefined: to the question before. */
  back?(answers: A): A | undefined
}

/** Why a wizard cannot be started now, with buttons for what has to be done first. */
export interface Refusal {
  refuse: string
  next?: Keyboard
}

/** A few questions that end in one change. Answers are JSON: they live in a sealed draft between two updates. */
export interface Wizard<A, Args> {
  need: Need
  begin(args: Args, env: WizardEnv): { answers: A } | Refusal
  crumbs(answers: A, env: WizardEnv): string[]
  /** The questions still asked, given the answers so far, in order. */
  steps(answers: A, env: WizardEnv): Step<A>[]
  /**
   * Makes the change and shows what becomes of it. May run twice after a kill: `id` names this one run and is the
   * same both times.
   */
  finish(answers: A, run: { id: string; startedAt: number }, ctx: BotContext): Promise<void>
  /** Where Cancel leads when what it was begun from is no screen: a server, or 0 for the fleet. */
  origin(answers: A): number
}

/** The same question once more, for an input that does not belong to it. */
export function again<A>(answers: A): Answered<A> {
  return { stay: answers }
}
