/** Who is connected, by client: Xray knows one who stands in several inbounds by several names. */
import type { XrayApi } from '#src/xray/api/api.ts'
import { parseXrayName } from '#src/xray/config/user-name.ts'
import { plainAddress } from './addresses.ts'

/** An address, IPv6 without brackets, and when the newest connection from it began, s since the epoch. */
export interface SeenAt {
  ip: string
  lastSeen: number
}

/** A client that is connected; null: from where was not asked. */
export interface Present {
  email: string
  ips: readonly SeenAt[] | null
}

/**
 * Everybody who is connected, each once.
 * @param choose whose addresses are wanted, each of which is a question to Xray (0.6 ms); everybody's unless told
 * @throws FleetError XRAY_UNAVAILABLE
 */
export async function lookWho(
  api: Pick<XrayApi, 'online' | 'addresses'>,
  choose: (emails: readonly string[]) => readonly string[] = (emails) => emails,
): Promise<Present[]> {
  const namesOf = new Map<string, string[]>()
  for (const name of await api.online()) {
    const email = parseXrayName(name)?.email
    if (email !== undefined) namesOf.set(email, [...(namesOf.get(email) ?? []), name])
  }
  const chosen = choose([...namesOf.keys()])
  const told = await api.addresses(chosen.flatMap((email) => namesOf.get(email) ?? []))
  const ipsOf = new Map(told.map(({ email, ips }) => [email, ips]))
  const isChosen = new Set(chosen)
  return [...namesOf].flatMap(([email, names]): Present[] => {
    if (!isChosen.has(email)) return [{ email, ips: null }]
    const ips = eachOnce(names.flatMap((name) => ipsOf.get(name) ?? []))
    // Gone since Xray was asked who there is.
    return ips.length === 0 ? [] : [{ email, ips }]
  })
}

/** Xray writes IPv6 addresses in brackets, and tells of each name by itself. */
function eachOnce(ips: readonly SeenAt[]): SeenAt[] {
  const last = new Map<string, number>()
  for (const { ip, lastSeen } of ips) {
    const address = plainAddress(ip)
    last.set(address, Math.max(lastSeen, last.get(address) ?? 0))
  }
  return [...last].map(([ip, lastSeen]) => ({ ip, lastSeen }))
}
