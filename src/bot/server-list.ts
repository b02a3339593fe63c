import { nameKey } from '#src/fleet/server-input.ts'
import type { Server } from '#src/fleet/types.ts'
import { statusDot } from './format.ts'

/** What somebody should look at comes first; what is switched off last. */
const ORDER = ['offline', 'error', 'partly', 'pending', 'online'] as const

function rank({ enabled, status }: Server): number {
  return enabled ? ORDER.indexOf(status) : ORDER.length
}

/** Servers with trouble first, otherwise as they are. */
export function troubleFirst(servers: readonly Server[]): Server[] {
  return servers.toSorted((a, b) => rank(a) - rank(b))
}

/** Servers whose name has these words in it; one that is called exactly so is the only one meant. */
export function serversNamed(servers: readonly Server[], words: string): Server[] {
  const key = nameKey(words.trim())
  const exact = servers.filter((server) => nameKey(server.name) === key)
  if (exact.length > 0) return exact
  return troubleFirst(servers.filter((server) => nameKey(server.name).includes(key)))
}

/** How a server stands in a list: how it is, the flag of its place where one was given, its name. */
export function serverLabel(server: Pick<Server, 'status' | 'enabled' | 'region' | 'name'>): string {
  const flag = /\p{RI}\p{RI}/u.exec(server.region)?.[0]
  const shown = flag === undefined || server.name.includes(flag) ? '' : `${flag} `
  return `${statusDot(server)} ${shown}${server.name}`
}
