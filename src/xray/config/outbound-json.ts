/** What stands in an outbound's own JSON, which is Xray's, not ours: whom it names, and what it may not hold. */
import type { Outbound } from '#src/contract/index.ts'
import { isSecretKey, masked } from './secret-keys.ts'

/** A value in nested JSON, by the key nearest to it. */
interface Leaf {
  key: string
  value: unknown
  /** Keys from the outbound to the value, lower case. */
  path: string[]
}

/** Outbounds that this one reaches its server through. */
export function carriersOf(outbound: Outbound): string[] {
  const dialers = leavesOf(outbound)
    .filter(({ key, value }) => key === 'dialerproxy' && value !== '')
    .map(({ value }) => String(value))
  return [...dialers, ...(outbound.proxySettings === undefined ? [] : [outbound.proxySettings.tag])]
}

/** The tag of the inbound at which a loopback's connections come in again; null: it is no loopback. */
export function loopbackOf(outbound: Outbound): string | null {
  if (outbound.protocol !== 'loopback') return null
  return (
    leavesOf(outbound)
      .findLast(({ key }) => key === 'inboundtag')
      ?.value?.toString() ?? ''
  )
}

/** Files that Xray would read or write, web pages it would serve, inbounds it would open, options of the kernel. */
const closedKeys = new Set([
  'certificatefile',
  'keyfile',
  'masterkeylog',
  'masquerade',
  'reverse',
  'customsockopt',
])

/** What may begin like a path, or hold anything at all: paths of HTTP, keys in base64, names. */
const freeKeys = new Set([
  'path',
  'spiderx',
  'servicename',
  'user',
  'email',
  'encryption',
  'publickey',
  'reserved',
  'certificate',
  'mldsa65verify',
  'pinnedpeercertsha256',
  'headers',
  'packet',
])

/** @returns the first thing in it that is not to be handed to Xray: where, and why; or null */
export function closedIn(outbound: Outbound): { field: string; reason: string } | null {
  for (const { key, value, path } of leavesOf(outbound)) {
    const field = path.join('.')
    // Xray folds some letters beyond ASCII to those of the names it knows.
    if (path.some((step) => !/^[\x20-\x7e]*$/.test(step))) return { field, reason: 'keys are ASCII' }
    const closed = path.find((step) => closedKeys.has(step))
    if (closed !== undefined) return { field, reason: `${closed} is not open to settings from outside` }
    if (typeof value !== 'string') continue
    if (value === masked && isSecretKey(key)) return { field, reason: 'a masked secret; give it in full' }
    if (isSecretKey(key) || path.some((step) => freeKeys.has(step))) continue
    if (/^(?:\.{0,2}\/|[@~]|file:)|:\/\//i.test(value)) {
      return { field, reason: 'paths and URLs are not open to settings from outside' }
    }
  }
  return null
}

/** Xray tells keys apart without regard to case, so here they are all in lower case. Its depth is limited already. */
function leavesOf(outbound: Outbound): Leaf[] {
  const walk = (value: unknown, key: string, path: string[]): Leaf[] => {
    if (Array.isArray(value)) {
      return value.length === 0
        ? [{ key, value: null, path }]
        : value.flatMap((item: unknown) => walk(item, key, path))
    }
    if (typeof value !== 'object' || value === null) return [{ key, value, path }]
    const fields = Object.entries(value)
    if (fields.length === 0) return [{ key, value: null, path }]
    return fields.flatMap(([name, inner]) => {
      const lower = name.toLowerCase()
      return walk(inner, lower, [...path, lower])
    })
  }
  return walk(outbound, '', [])
}
