import { asc, sql } from 'drizzle-orm'
import type { Db } from '#src/store/drizzle.ts'
import { inbounds } from '#src/store/schema.ts'
import type { TaskView, View } from './types.ts'

/** Changes that bring tags, or take them away. */
export const tagOperations = ['inbounds.add', 'inbounds.delete'] as const

/**
 * The tags clients can be added to. What waits in a server's queue counts as done: a client that is added now comes
 * after it, so one for a server that is away, or has not joined, is not left out.
 * @param waiting open tasks of `tagOperations`, in their order
 */
export function createTags(
  db: Db,
  waiting: () => Pick<TaskView, 'serverId' | 'operation' | 'input'>[],
): View['tags'] {
  const rows = db
    .select({ tag: inbounds.tag, port: inbounds.port, serverId: inbounds.serverId })
    .from(inbounds)
    .where(
      // Nobody stands in a tunnel.
      sql`${inbounds.serverId} in (select value from json_each(${sql.placeholder('servers')}))
        and ${inbounds.protocol} <> 'tunnel'`,
    )
    .orderBy(asc(inbounds.tag), asc(inbounds.serverId))
    .prepare()

  return (serverIds) => {
    const wanted = new Set(serverIds)
    const tags = new Map<string, { tag: string; port: number; servers: number[] }>()
    const add = (tag: string, port: number, serverId: number): void => {
      const entry = tags.get(tag) ?? { tag, port, servers: [] }
      tags.set(tag, entry)
      if (!entry.servers.includes(serverId)) entry.servers.push(serverId)
    }
    for (const { tag, port, serverId } of rows.all({ servers: JSON.stringify(serverIds) })) {
      add(tag, port, serverId)
    }
    for (const { serverId, operation, input } of waiting()) {
      if (!wanted.has(serverId)) continue
      if (operation === 'inbounds.add') {
        const { tag, port, protocol } = input as { tag: string; port: number; protocol: string }
        if (protocol !== 'tunnel') add(tag, port, serverId)
      } else {
        const entry = tags.get((input as { id: string }).id)
        if (entry !== undefined) entry.servers = entry.servers.filter((id) => id !== serverId)
      }
    }
    return [...tags.values()]
      .filter(({ servers }) => servers.length > 0)
      .map((entry) => ({ ...entry, servers: entry.servers.toSorted((a, b) => a - b) }))
      .toSorted((a, b) => (a.tag < b.tag ? -1 : 1))
  }
}
