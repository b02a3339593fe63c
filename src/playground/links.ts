import { isIP } from 'node:net'

/** Why Telegram does not take a URL, in its words; undefined when it does. */
export function whyNotLink(source: string): string | undefined {
  const withScheme = /^[a-z][a-z0-9+.-]*:/i.test(source) ? source : `http://${source}`
  if (!URL.canParse(withScheme)) return 'Wrong HTTP URL'
  const url = new URL(withScheme)
  if (url.protocol === 'tg:') return undefined
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'Unsupported URL protocol'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // A host must look public: Telegram takes addresses and dotted names, not `localhost`.
  return isIP(host) !== 0 || host.includes('.') ? undefined : 'Wrong HTTP URL'
}

/** The URL as Telegram stores it in a text_link, undefined when it is not a link to it. */
export function linkOf(source: string): string | undefined {
  if (source === '' || whyNotLink(source) !== undefined) return undefined
  return new URL(/^[a-z][a-z0-9+.-]*:/i.test(source) ? source : `http://${source}`).href
}
