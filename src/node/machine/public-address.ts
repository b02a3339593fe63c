import { BlockList, isIP } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'

export interface PublicAddresses {
  ipv4: string | null
  ipv6: string | null
}

/** Where no address of the internet is, from the IANA special-purpose registries (RFC 6890). */
const special: readonly [network: string, bits: number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  // Of IPv6 only 2000::/3 is given out at all; these are the special parts of it: Teredo, documentation, 6to4.
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]
const givenOut = ['2000::', 3] as const

const blocks = {
  special: blockList(special),
  givenOut: blockList([givenOut]),
}

function blockList(networks: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [network, bits] of networks)
    list.addSubnet(network, bits, network.includes(':') ? 'ipv6' : 'ipv4')
  return list
}

/** Whether an IP address can be reached from the whole internet, as far as the address itself tells. */
export function isGloballyRoutable(address: string): boolean {
  const version = isIP(address)
  if (version === 4) return !blocks.special.check(address, 'ipv4')
  return version === 6 && blocks.givenOut.check(address, 'ipv6') && !blocks.special.check(address, 'ipv6')
}

/**
 * A machine's addresses on the internet: the first of its own that is one, else the configured one where that is an IP
 * address, as behind NAT; null where neither tells. Nobody outside is asked.
 */
export function publicAddresses(
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>,
  configured: string | undefined,
): PublicAddresses {
  const own = Object.values(interfaces).flatMap((list) => list ?? [])
  const find = (version: 4 | 6): string | null =>
    own.find(({ address, family }) => family === `IPv${version}` && isGloballyRoutable(address))?.address ??
    (configured !== undefined && isIP(configured) === version ? configured : null)
  return { ipv4: find(4), ipv6: find(6) }
}
