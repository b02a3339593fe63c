/**
 * What lies between two configurations of one Xray: steps that turn one into the other while it runs, or the reasons
 * why only a start can. Pure.
 *
 * Users are no part of it where Xray takes them one by one (see listeners): to find one among ten thousand this way
 * would cost more than telling Xray of it.
 */
import { isDeepStrictEqual } from 'node:util'
import { apiTag } from './tags.ts'

export type Step =
  | { do: 'close inbound'; tag: string }
  | { do: 'put outbound'; tag: string }
  | { do: 'set routing' }
  | { do: 'open inbound'; tag: string }
  | { do: 'remove outbound'; tag: string }

export interface ConfigDiff {
  /** In the order in which they are to be taken. Empty where a restart is needed, which does it all. */
  steps: Step[]
  /** Parts that Xray reads only at its start. */
  restart: string[]
  /** Every part that differs, in words for people. */
  changed: string[]
}

interface Tagged {
  tag: string
  [field: string]: unknown
}

/** A configuration as `renderConfig` makes it. */
export interface RenderedConfig {
  inbounds: Tagged[]
  outbounds: Tagged[]
  routing: { domainStrategy: string; rules: object[]; balancers: object[] }
  [part: string]: unknown
}

export function diffConfigs(before: RenderedConfig, after: RenderedConfig): ConfigDiff {
  const inbounds = diffByTag(before.inbounds.filter(notApi), after.inbounds.filter(notApi))
  const outbounds = diffByTag(before.outbounds.slice(1), after.outbounds.slice(1))
  const rules = !same(before.routing.rules, after.routing.rules)
  const balancers = !same(before.routing.balancers, after.routing.balancers)
  const restart = atStartOnly(before, after)
  const changed = [
    ...restart,
    ...told('inbound', inbounds),
    ...told('outbound', outbounds),
    ...(rules ? ['rules'] : []),
    ...(balancers ? ['balancers'] : []),
  ]
  if (restart.length > 0) return { steps: [], restart, changed }
  const steps: Step[] = [
    ...[...inbounds.gone, ...inbounds.other].map((tag) => ({ do: 'close inbound', tag }) as const),
    // What rules lead to is there before they are, and as long as they are.
    ...[...outbounds.other, ...outbounds.fresh].map((tag) => ({ do: 'put outbound', tag }) as const),
    ...(rules || balancers ? [{ do: 'set routing' } as const] : []),
    // Nobody comes in before the rules for it are there: they may close something to it.
    ...[...inbounds.other, ...inbounds.fresh].map((tag) => ({ do: 'open inbound', tag }) as const),
    ...outbounds.gone.map((tag) => ({ do: 'remove outbound', tag }) as const),
  ]
  return { steps, restart, changed }
}

/** Parts that differ, of those that Xray reads only at its start. */
export function atStartOnly(before: RenderedConfig, after: RenderedConfig): string[] {
  const hot = new Set(['inbounds', 'outbounds', 'routing'])
  const parts = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((part) => !hot.has(part))
  return [
    ...parts.filter((part) => !same(before[part], after[part])),
    ...(same(before.inbounds.filter(isApi), after.inbounds.filter(isApi)) ? [] : ['api inbound']),
    // Removed, it would be missing for a moment, and the next one added would take its place.
    ...(same(before.outbounds[0], after.outbounds[0]) ? [] : ['first outbound']),
    ...(before.routing.domainStrategy === after.routing.domainStrategy ? [] : ['domainStrategy']),
  ]
}

interface TagDiff {
  fresh: string[]
  other: string[]
  gone: string[]
}

function diffByTag<T extends { tag: string }>(before: readonly T[], after: readonly T[]): TagDiff {
  const known = new Map(before.map((each) => [each.tag, each]))
  const wanted = new Set(after.map(({ tag }) => tag))
  return {
    fresh: after.filter(({ tag }) => !known.has(tag)).map(({ tag }) => tag),
    other: after
      .filter((each) => known.has(each.tag) && !same(known.get(each.tag), each))
      .map(({ tag }) => tag),
    gone: before.filter(({ tag }) => !wanted.has(tag)).map(({ tag }) => tag),
  }
}

const told = (kind: string, { fresh, other, gone }: TagDiff): string[] => [
  ...fresh.map((tag) => `${kind} ${tag} added`),
  ...other.map((tag) => `${kind} ${tag} changed`),
  ...gone.map((tag) => `${kind} ${tag} removed`),
]

/** Of the API itself: it cannot be closed through itself. */
const isApi = ({ tag }: { tag: string }): boolean => tag === apiTag
const notApi = (inbound: { tag: string }): boolean => !isApi(inbound)

/** Whether they are the same as JSON: in a file an undefined field is none, and the order of keys means nothing. */
function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(plain(a), plain(b))
}

function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
}
