import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'

/** Everything the page needs is its own: no other origin, no inline script or style, nobody may frame it. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** Sets the headers every answer of the page has. */
export function guardResponse(response: ServerResponse): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
}

/**
 * True when the page was asked for by address or as localhost. A name that only resolves to this machine could
 * belong to someone else's page (DNS rebinding).
 */
export function isOwnHost(request: IncomingMessage): boolean {
  const host = request.headers.host ?? ''
  if (!URL.canParse(`http://${host}`)) return false
  const { hostname } = new URL(`http://${host}`)
  return hostname === 'localhost' || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0
}

/** True for a POST made by the page itself: same origin, and with the token only the page was given. */
export function isOwnPost(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(String(request.headers['x-playground-token'] ?? ''))
  const expected = Buffer.from(token)
  const sameOrigin = request.headers.origin === `http://${request.headers.host ?? ''}`
  return sameOrigin && given.length === expected.length && timingSafeEqual(given, expected)
}
