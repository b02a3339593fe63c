import { isIP } from 'node:net'

export interface Address {
  /** A host name or an IP address; IPv6 without brackets. */
  host: string
  port: number
}

const hostName =
  /^(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$/

/** Whether this is a host name or an IP address, and nothing that could become more of a URL. */
export function isHost(host: string): boolean {
  if (isIP(host) !== 0) return true
  // Only digits and dots, but no address: a slip, which some resolvers take for an address all the same.
  return hostName.test(host) && !/^[\d.]+$/.test(host)
}

/**
 * Reads `host:port` or `[IPv6]:port`.
 * @returns undefined when it is neither. Port 0 (any free one) is let through.
 */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:]+)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const [, v6, name, digits] = match
  const host = v6 ?? name ?? ''
  const port = Number(digits)
  if (port > 65_535 || (v6 === undefined ? !isHost(host) : isIP(host) !== 6)) return undefined
  return { host, port }
}

/** `host:port`, with brackets around IPv6. */
export function formatAddress({ host, port }: Address): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

/** A socket's remote address as people write it: an IPv4 address that came through an IPv6 socket is IPv4 again. */
export function plainIp(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
}
