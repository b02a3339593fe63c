import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseHtml } from '#src/playground/html.ts'
import { systemRuntime } from '#src/runtime.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { loadLanguages } from '../i18n/texts.ts'
import { wholeText } from '../screens/crumbs.ts'
import type { Services } from '../services.ts'
import { advance, type AnyWizard, beginRun, readTap, type Run, runScreen } from './run.ts'
import { createWizards } from './index.ts'
import type { Input, WizardEnv } from './wizard.ts'

let house: BotHouse
let env: WizardEnv
let wizards: Record<string, AnyWizard>

beforeAll(async () => {
  house = await openBotHouse()
  for (let i = 0; i < 10; i++) await house.join(`s${i}`, i % 2 === 0 ? 'main' : 'a'.repeat(64))
  env = { fleet: house.fleet, runtime: systemRuntime(), t: loadLanguages().forCode('en').t, group: true }
  wizards = createWizards({ fleet: house.fleet, runtime: env.runtime } as unknown as Services)
})
afterAll(() => house.end())

const starts = fc.constantFrom(
  ['addServer', {}],
  ['addInbound', { server: 0 }],
  ['addInbound', { server: 2 }],
  ['addClient', { server: 0 }],
  ['addClient', { server: 2 }],
  ['editField', { server: 2, field: 'notes' }],
  ['editField', { server: 2, field: 'publicAddress' }],
)
/** A tap on the n-th button, a text, or something else. */
const inputs = fc.oneof(
  { weight: 5, arbitrary: fc.nat(30).map((tap) => ({ tap })) },
  {
    weight: 2,
    arbitrary: fc
      .oneof(fc.constantFrom('443', 'x', 'www.example.com', 'main-2'), fc.string({ unit: 'binary' }))
      .map((text) => ({ text })),
  },
  { weight: 1, arbitrary: fc.constant({ other: true }) },
)

function begin(name: string, args: unknown): Run {
  const wizard = wizards[name]
  if (wizard === undefined) throw new Error(name)
  const run = beginRun(name, wizard, args, env, '')
  if ('refuse' in run) throw new Error(run.refuse)
  return run
}

describe('every wizard, whatever is answered', () => {
  test('always shows a valid question with Back and Cancel, and its buttons are understood', () => {
    fc.assert(
      fc.property(starts, fc.array(inputs, { maxLength: 25 }), ([name, args], answers) => {
        const wizard = wizards[name as string]
        if (wizard === undefined) throw new Error('no such wizard')
        let run = begin(name as string, args)
        for (const answer of answers) {
          // As after a restart: nothing but JSON is left.
          run = JSON.parse(JSON.stringify(run)) as Run
          const screen = runScreen(wizard, run, env)
          expect(parseHtml(wholeText(screen, undefined, env.t).value).text.length).toBeLessThanOrEqual(4096)
          const buttons = (screen.keyboard as { text: string; callback_data: string }[][]).flat()
          expect(buttons.slice(-2).map(({ text }) => text)).toEqual(['‹ Back', 'Cancel'])
          for (const { callback_data: data } of buttons) {
            expect(Buffer.byteLength(data)).toBeLessThanOrEqual(64)
            expect(readTap(run, data)).toBeDefined()
          }
          const tapped = 'tap' in answer ? buttons[answer.tap % buttons.length]?.callback_data : undefined
          const input: Input | undefined =
            tapped !== undefined
              ? readTap(run, tapped)
              : 'text' in answer
                ? { kind: 'text', text: answer.text.trim() }
                : { kind: 'other' }
          const before = run
          run = advance(wizard, run, input ?? { kind: 'other' }, env)
          // A button of the question before is not one of this question.
          if (tapped !== undefined) expect(readTap(run, tapped)).toBeUndefined()
          expect(run.id).toBe(before.id)
          if (run.status !== 'asking') return
        }
      }),
      { numRuns: 300 },
    )
  })

  test('Back on the first question leaves, Back later returns with the answer kept', () => {
    const wizard = wizards['addServer']
    if (wizard === undefined) throw new Error('no such wizard')
    const back: Input = { kind: 'tap', verb: 'back', arg: '' }
    const first = begin('addServer', {})
    expect(advance(wizard, first, back, env).status).toBe('cancelled')
    const second = advance(wizard, first, { kind: 'text', text: 'x-1' }, env)
    expect(second).toMatchObject({ step: 1, answers: { name: 'x-1' } })
    expect(advance(wizard, second, back, env)).toMatchObject({
      step: 0,
      status: 'asking',
      answers: { name: 'x-1' },
    })
  })
})
