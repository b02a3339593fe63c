import type { OperationInput } from '#src/contract/index.ts'
import { port as portSchema } from '#src/contract/primitives.ts'
import type { T } from '../i18n/texts.ts'
import { parseTarget } from './target-steps.ts'
import { textStep } from './text-step.ts'
import type { Choice, Step } from './wizard.ts'

type Input = OperationInput<'inbounds.add'>

/** What most inbounds are well without being asked for. */
export interface Extras {
  sniffing: boolean
  /** Where connections go that are not of the protocol: a port of the server, or host:port; empty: nowhere. */
  fallback: string
  wantsFallback: boolean
}

export const noExtras: Extras = { sniffing: true, fallback: '', wantsFallback: false }

/** A web site can share the port where the protocol has fallbacks, and the first bytes after TLS are its own. */
export function takesFallback({ protocol, stream }: Input): boolean {
  const { transport, security } = stream ?? {}
  return (
    (protocol === 'vless' || protocol === 'trojan') && transport?.type === 'raw' && security?.type === 'tls'
  )
}

export function withExtras(input: Input, { sniffing, fallback }: Extras): Input {
  const made: Input = sniffing ? input : { ...input, sniffing: { enabled: false, destOverride: [] } }
  if (fallback === '' || !takesFallback(made)) return made
  const dest = /^\d+$/.test(fallback) ? Number(fallback) : fallback
  if (made.protocol === 'vless') return { ...made, settings: { fallbacks: [{ dest }] } }
  return made.protocol === 'trojan' ? { ...made, settings: { fallbacks: [{ dest }] } } : made
}

/** Buttons for them under a summary. */
export function extraRows(extras: Extras, input: Input, t: T): Choice[][] {
  const offersFallback = takesFallback(input) && !extras.wantsFallback
  return [
    [{ text: `${extras.sniffing ? '☑' : '☐'} ${t('extras.sniffing')}`, verb: 'sniff' }],
    ...(offersFallback ? [[{ text: t('extras.setFallback'), verb: 'fallback' }]] : []),
  ]
}

/** The answers after a tap on one of those; undefined for another button. */
export function tappedExtra<A extends Extras>(answers: A, verb: string): A | undefined {
  if (verb === 'sniff') return { ...answers, sniffing: !answers.sniffing }
  // That question comes before the summary, so that it is asked now, and Back leads to it.
  return verb === 'fallback' ? { ...answers, wantsFallback: true } : undefined
}

export function fallbackStep<A extends Extras>(): Step<A> {
  return textStep({
    question: (_, { t }) => [t('extras.fallback'), t('extras.fallbackHint')],
    skip: (t) => t('extras.noFallback'),
    take(answers, text, { t }) {
      const isPort = /^\d+$/.test(text) && portSchema.safeParse(Number(text)).success
      return text === '' || isPort || parseTarget(text) !== undefined
        ? { next: { ...answers, fallback: text } }
        : { stay: answers, error: t('extras.badFallback') }
    },
  })
}
