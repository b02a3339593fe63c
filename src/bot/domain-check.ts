import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { oneSpelling } from '#src/contract/primitives.ts'
import type { SystemStats } from '#src/contract/index.ts'
import { readFrom } from './routes/reading.ts'
import type { Services } from './services.ts'

/** Addresses of a name; none where it has none; undefined where nobody said so in time. Never rejects. */
export type LookUp = (name: string) => Promise<string[] | undefined>

/** Where a domain leads, seen from a server that wants a certificate for it. JSON. */
export interface Leading {
  to: 'here' | 'nowhere' | 'elsewhere' | 'unknown'
  /** Those of its addresses that are not the server's. */
  strange: string[]
  /** The server's, as far as they are known. */
  own: string[]
}

export const unknownLeading: Leading = { to: 'unknown', strange: [], own: [] }

/** A form waits no longer than this for the names and for the server together. */
const PATIENCE_MS = 1_500
/** ms. A second try within the patience: by UDP a question may be lost. */
const TRY_MS = 700

/** What name servers say that means: there is no such name, or none of that kind. */
const NONE: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA'])

/**
 * Asks name servers, those of this machine unless told others, as a certificate authority would: a file of hosts has no
 * say. Never rejects.
 */
export const lookUpByDns = async (name: string, servers?: string[]): Promise<string[] | undefined> => {
  const resolver = new Resolver({ timeout: TRY_MS, tries: 2 })
  if (servers !== undefined) resolver.setServers(servers)
  const none = (error: NodeJS.ErrnoException): [] | undefined => (NONE.has(error.code) ? [] : undefined)
  const kinds = await Promise.all([resolver.resolve4(name).catch(none), resolver.resolve6(name).catch(none)])
  const found = kinds.flatMap((addresses) => addresses ?? [])
  return found.length === 0 && kinds.includes(undefined) ? undefined : found
}

/**
 * Where addresses lead. An authority may ask at any of them, so one that is not the server's counts; of a kind of which
 * no address of the server is known (IPv4, IPv6) nothing can be said.
 */
export function leading(found: readonly string[] | undefined, own: readonly string[]): Leading {
  const answer = (to: Leading['to'], strange: string[] = []): Leading => ({ to, strange, own: [...own] })
  if (found === undefined) return answer('unknown')
  if (found.length === 0) return answer('nowhere')
  const kinds = new Set(own.map((address) => isIP(address)))
  const known = new Set(own.map(oneSpelling))
  const judged = found.filter((address) => kinds.has(isIP(address)))
  const strange = judged.filter((address) => !known.has(oneSpelling(address)))
  if (strange.length > 0) return answer('elsewhere', strange)
  return answer(judged.length > 0 ? 'here' : 'unknown')
}

/** Whether what was found of a domain is a server, as far as that can be told at once. Never rejects. */
export async function leadsTo(
  s: Pick<Services, 'fleet' | 'runtime' | 'signal' | 'lookUp'>,
  looked: ReturnType<LookUp>,
  serverId: number,
): Promise<Leading> {
  const done = new AbortController()
  const late = s.runtime
    .sleep(PATIENCE_MS, AbortSignal.any([done.signal, s.signal]))
    .catch(() => undefined)
    .then(() => unknownLeading)
  const asked = Promise.all([looked, ownAddresses(s, serverId)])
    .then(([found, own]) => leading(found, own))
    .catch(() => unknownLeading)
  const answer = await Promise.race([asked, late])
  done.abort()
  return answer
}

/** A server's addresses on the internet: those it knows itself, and the one its clients dial. */
async function ownAddresses(
  s: Pick<Services, 'fleet' | 'runtime' | 'signal' | 'lookUp'>,
  serverId: number,
): Promise<string[]> {
  const dialled = s.fleet.servers.get(serverId).publicAddress
  const [stats, dialledAt] = await Promise.all([
    readFrom<SystemStats>(s, serverId, (connector, options) => connector.system.stats(undefined, options)),
    dialled === null || isIP(dialled) !== 0 ? [dialled ?? ''] : s.lookUp(dialled),
  ])
  const { ipv4, ipv6 } = stats.state === 'known' ? stats.value.publicAddress : { ipv4: '', ipv6: '' }
  const all = [ipv4 ?? '', ipv6 ?? '', ...(dialledAt ?? [])].filter((address) => address !== '')
  return [...new Set(all.map(oneSpelling))]
}
