import {
  type CustomChoice,
  type CustomKind,
  type CustomSecurity,
  type CustomTransport,
  customKinds,
  securitiesFor,
  transportsFor,
} from '#src/fleet/custom.ts'
import type { T } from '../i18n/texts.ts'
import { type Step, again } from './wizard.ts'

/** What is put together by hand; null: a template was taken. */
export interface Custom {
  custom: CustomChoice | null
}

/** What the questions begin with. */
export const firstCustom: CustomChoice = { kind: 'vless', transport: 'raw', security: 'reality' }

function kindName(kind: CustomKind, t: T): string {
  return kind === 'shadowsocks-2022' ? `${t('kind.protocol.shadowsocks')} 2022` : t(`kind.protocol.${kind}`)
}
const transportName = (transport: CustomTransport, t: T): string => t(`kind.transport.${transport}`)
const securityName = (security: CustomSecurity, t: T): string => t(`kind.security.${security}`)

/** "VLESS · XHTTP · TLS". */
export function customName({ kind, transport, security }: CustomChoice, t: T): string {
  return [kindName(kind, t), transportName(transport, t), securityName(security, t)].join(' · ')
}

/** One of a few values, by a button each. */
function oneOf<A extends Custom, V extends string>(options: {
  question: (t: T) => string
  values: (custom: CustomChoice) => readonly V[]
  name: (value: V, t: T) => string
  set: (custom: CustomChoice, value: V) => CustomChoice
}): Step<A> {
  const { question, values, name, set } = options
  return {
    ask: ({ custom }, { t }) => ({
      lines: [question(t)],
      rows: values(custom ?? firstCustom).map((value, i) => [
        { text: name(value, t), verb: 'use', arg: value, ...(i === 0 ? { style: 'primary' as const } : {}) },
      ]),
    }),
    answer(answers, input) {
      const custom = answers.custom ?? firstCustom
      const value = values(custom).find((each) => input.kind === 'tap' && input.arg === each)
      return value === undefined ? again(answers) : { next: { ...answers, custom: set(custom, value) } }
    },
  }
}

/** Protocol, then what carries it, then what secures it: each only what goes with the answers before. */
export function customSteps<A extends Custom>({ custom }: A): Step<A>[] {
  if (custom === null) return []
  const kind = oneOf<A, CustomKind>({
    question: (t) => t('custom.protocol'),
    values: () => customKinds,
    name: kindName,
    set(_, chosen) {
      const transport = transportsFor(chosen)[0] ?? 'raw'
      return { kind: chosen, transport, security: securitiesFor(chosen, transport)[0] ?? 'none' }
    },
  })
  const transport = oneOf<A, CustomTransport>({
    question: (t) => t('custom.transport'),
    values: (chosen) => transportsFor(chosen.kind),
    name: transportName,
    set: (before, chosen) => ({
      ...before,
      transport: chosen,
      security: securitiesFor(before.kind, chosen)[0] ?? 'none',
    }),
  })
  const security = oneOf<A, CustomSecurity>({
    question: (t) => t('custom.security'),
    values: (chosen) => securitiesFor(chosen.kind, chosen.transport),
    name: securityName,
    set: (before, chosen) => ({ ...before, security: chosen }),
  })
  return [
    kind,
    transport,
    // Where there is one only, there is nothing to ask.
    ...(securitiesFor(custom.kind, custom.transport).length === 1 ? [] : [security]),
  ]
}
