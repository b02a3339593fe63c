/**
 * What Xray would take and then do wrong with ways out and rules: a rule that leads nowhere, outbounds that dial
 * through each other in a circle, a connection that goes round for ever, and above all a way into its own API.
 */
import type { RoutingDocument } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import type { XrayModel } from './model.ts'
import { carriersOf, closedIn, loopbackOf } from './outbound-json.ts'
import { apiTag, reservedTags } from './tags.ts'

/** Outbounds of ours that others may lead to. */
const openTags = reservedTags.filter((tag) => tag !== apiTag)

/** @returns the first thing wrong with it, or null */
export function validateRouting(routing: RoutingDocument): FleetError | null {
  const { outbounds, rules, balancers, defaultOutbound } = routing
  const known = new Set<string>([...openTags, ...outbounds.map(({ tag }) => tag)])

  for (const [index, outbound] of outbounds.entries()) {
    const at = `outbounds.${index}`
    if (reservedTags.some((tag) => tag === outbound.tag)) {
      return bad(`${at}.tag`, `${outbound.tag} is used by fleetgram itself`)
    }
    if (outbounds.findIndex(({ tag }) => tag === outbound.tag) < index) {
      return bad(`${at}.tag`, `${outbound.tag} is there twice`)
    }
    const closed = closedIn(outbound)
    if (closed !== null) return bad(`${at}.${closed.field}`, closed.reason)
    const unknown = carriersOf(outbound).find((tag) => !known.has(tag))
    if (unknown !== undefined) return bad(at, `there is no outbound ${unknown} to go through`)
    const comesBackAt = loopbackOf(outbound)
    if (comesBackAt === apiTag || comesBackAt === '') {
      return bad(at, 'a loopback needs the tag of an inbound, and not that of the API')
    }
  }
  const carriers = new Map(outbounds.map((outbound) => [outbound.tag, carriersOf(outbound)]))
  const circle = findCircle(carriers)
  if (circle !== null) return bad('outbounds', `they go through each other: ${circle.join(' → ')}`)

  for (const [index, balancer] of balancers.entries()) {
    const at = `balancers.${index}`
    if (balancers.findIndex(({ tag }) => tag === balancer.tag) < index) {
      return bad(`${at}.tag`, `${balancer.tag} is there twice`)
    }
    for (const beginning of balancer.selector) {
      // The API is an outbound among the others, and a beginning of its tag would choose it too.
      if (apiTag.startsWith(beginning)) return bad(`${at}.selector`, `${beginning} would choose the API`)
      if (![...known].some((tag) => tag.startsWith(beginning))) {
        return bad(`${at}.selector`, `no outbound begins with ${beginning}`)
      }
    }
    const { fallbackTag } = balancer
    if (fallbackTag !== undefined && !known.has(fallbackTag)) {
      return bad(`${at}.fallbackTag`, `there is no outbound ${fallbackTag}`)
    }
  }

  const wrong = rules.map((_, index) => wrongInRule(routing, index, known)).find((each) => each !== null)
  if (wrong !== undefined) return wrong
  if (!known.has(defaultOutbound)) return bad('defaultOutbound', `there is no outbound ${defaultOutbound}`)
  return goesRound(routing, carriers)
}

/** What is wrong between the ways out and the inbounds of one server, from whichever side it came. */
export function validateBeside(model: Pick<XrayModel, 'inbounds' | 'routing'>): FleetError | null {
  for (const { tag, protocol } of model.inbounds) {
    const outbounds = model.routing.outbounds
    if (outbounds.some((outbound) => outbound.tag === tag)) {
      return bad('tag', `${tag} is the tag of an inbound and of an outbound`)
    }
    // What comes out of a tunnel may go into private networks, and that is for its admin alone to open.
    if (protocol === 'tunnel' && outbounds.some((outbound) => loopbackOf(outbound) === tag)) {
      return bad('tag', `a loopback leads into the tunnel ${tag}`)
    }
  }
  return null
}

function wrongInRule(
  { rules, balancers }: RoutingDocument,
  index: number,
  known: Set<string>,
): FleetError | null {
  const rule = rules[index]
  if (rule === undefined) return null
  const { ruleTag, outboundTag, balancerTag } = rule
  const at = `rules.${index}`
  if (ruleTag !== undefined && rules.findIndex((other) => other.ruleTag === ruleTag) < index) {
    return bad(`${at}.ruleTag`, `${ruleTag} is there twice`)
  }
  if (outboundTag !== undefined && !known.has(outboundTag)) {
    return bad(`${at}.outboundTag`, `there is no outbound ${outboundTag}`)
  }
  if (balancerTag !== undefined && !balancers.some(({ tag }) => tag === balancerTag)) {
    return bad(`${at}.balancerTag`, `there is no balancer ${balancerTag}`)
  }
  const pattern = rule.domain?.find(
    (matcher) => matcher.startsWith('regexp:') && !isPattern(matcher.slice(7)),
  )
  if (pattern !== undefined) return bad(`${at}.domain`, `${pattern} is no pattern that Xray reads`)
  for (const field of ['domain', 'ip', 'sourceIP'] as const) {
    // `geosite:` and `geoip:` read the two files that come with Xray; these would read any.
    const file = rule[field]?.find((matcher) => /^!?ext(?:-domain|-ip)?:/i.test(matcher.trim()))
    if (file !== undefined) return bad(`${at}.${field}`, `${file} would read a file`)
  }
  return null
}

/**
 * Whether Xray can read a regular expression; it passes over one that it cannot. It has Go's, which look neither ahead
 * nor behind nor back, and know some flags and names that JavaScript writes otherwise.
 */
function isPattern(text: string): boolean {
  if (/\(\?<?[=!]|\\[1-9]/.test(text)) return false
  const ours = text
    .replace(/\(\?[imsU-]+\)/g, '')
    .replace(/\(\?[imsU-]*:/g, '(?:')
    .replace(/\(\?P</g, '(?<')
  try {
    RegExp(ours)
    return true
  } catch {
    return false
  }
}

/**
 * A loopback sends a connection through the rules once more, and Xray counts no rounds. So it must be told which
 * inbounds' connections it takes, and what comes back from it must never be led to it again.
 */
function goesRound(
  routing: RoutingDocument,
  carriers: ReadonlyMap<string, readonly string[]>,
): FleetError | null {
  const { outbounds, rules, balancers, defaultOutbound } = routing
  const loopbacks = new Map(outbounds.map((outbound) => [outbound.tag, loopbackOf(outbound)]))
  /** Inbounds at which a connection may come in again that leaves through one of these outbounds. */
  const comesBack = (tags: readonly string[]): string[] => {
    // What is added while it is walked through is walked through too.
    const passed = new Set(tags)
    for (const tag of passed) for (const carrier of carriers.get(tag) ?? []) passed.add(carrier)
    return [...passed].map((tag) => loopbacks.get(tag) ?? null).filter((tag) => tag !== null)
  }
  const choices = (tag: string | undefined): string[] => {
    const balancer = balancers.find((each) => each.tag === tag)
    if (balancer === undefined) return []
    const { selector, fallbackTag } = balancer
    const chosen = outbounds.map((outbound) => outbound.tag)
    return [
      ...chosen.filter((each) => selector.some((beginning) => each.startsWith(beginning))),
      ...(fallbackTag === undefined ? [] : [fallbackTag]),
    ]
  }
  if (comesBack([defaultOutbound]).length > 0) {
    return bad('defaultOutbound', 'what comes back from a loopback would go into it again')
  }
  const ways = new Map<string, string[]>()
  for (const [index, { outboundTag, balancerTag, inboundTag }] of rules.entries()) {
    const back = comesBack(outboundTag === undefined ? choices(balancerTag) : [outboundTag])
    if (back.length === 0) continue
    if (inboundTag === undefined) {
      return bad(`rules.${index}.inboundTag`, 'a rule into a loopback must name inbounds')
    }
    for (const from of inboundTag) ways.set(from, [...(ways.get(from) ?? []), ...back])
  }
  const circle = findCircle(ways)
  return circle === null ? null : bad('rules', `a loopback leads back to itself: ${circle.join(' → ')}`)
}

/** A way through the edges that comes back to where it began. */
function findCircle(edges: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>()
  const walk = (from: string, way: readonly string[]): string[] | null => {
    if (way.includes(from)) return [...way.slice(way.indexOf(from)), from]
    if (done.has(from)) return null
    for (const to of edges.get(from) ?? []) {
      const circle = walk(to, [...way, from])
      if (circle !== null) return circle
    }
    done.add(from)
    return null
  }
  for (const from of edges.keys()) {
    const circle = walk(from, [])
    if (circle !== null) return circle
  }
  return null
}

function bad(field: string, reason: string): FleetError {
  return new FleetError('BAD_INPUT', { field, reason })
}
