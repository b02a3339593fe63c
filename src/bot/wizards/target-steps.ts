import { hostAndPort } from '#src/contract/stream.ts'
import { textStep } from './text-step.ts'
import type { Step } from './wizard.ts'

export interface TargetChoice {
  /** host:port. Of REALITY's site, or of what a tunnel leads to. */
  target: string
}

/** Large sites that speak TLS 1.3 and HTTP/2, which REALITY needs of a target. */
const SITES = ['www.microsoft.com:443', 'www.nvidia.com:443', 'dl.google.com:443']
/** Web sites are there. */
const HTTPS = 443

/** `host:port` with a port that there is; undefined where it is something else. */
export const parseTarget = (text: string): string | undefined => hostAndPort.safeParse(text).data

/** Which site REALITY looks like: a name, with the port of HTTPS unless another is given. */
export function siteStep<A extends TargetChoice>(): Step<A> {
  return textStep({
    question: (_, { t }) => [t('addInbound.target'), t('addInbound.targetHint')],
    offers: () => SITES.map((value) => ({ text: value, value })),
    take(answers, text, { t }) {
      const target = parseTarget(text.includes(':') ? text : `${text}:${HTTPS}`)
      return target === undefined || !text.includes('.') || text.startsWith('[')
        ? { stay: answers, error: t('addInbound.badTarget') }
        : { next: { ...answers, target } }
    },
  })
}

/** Where a tunnel leads. */
export function forwardStep<A extends TargetChoice>(): Step<A> {
  return textStep({
    question: (_, { t }) => [t('addInbound.forward'), t('addInbound.forwardHint')],
    take(answers, text, { t }) {
      const target = parseTarget(text)
      return target === undefined
        ? { stay: answers, error: t('addInbound.badForward') }
        : { next: { ...answers, target } }
    },
  })
}
