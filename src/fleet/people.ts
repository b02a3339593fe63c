import { asc, eq, sql } from 'drizzle-orm'
import { emailKey } from '#src/node/rows.ts'
import type { Db } from '#src/store/drizzle.ts'
import { clients } from '#src/store/schema.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { selectClients, toClientRow } from './client-rows.ts'
import { paged } from './paging.ts'
import type { ClientRow, Page, Person, Server } from './types.ts'

/** One client across servers: those with one name, compared without regard to case. */
export function createPeople(deps: { db: Db; box: SecretBox; servers(): Server[] }) {
  const { db, box } = deps
  const matching = sql`(${sql.placeholder('search')} = '' or instr(${clients.emailKey}, ${sql.placeholder('search')}) > 0)`
  const count = db
    .select({ total: sql<number>`count(distinct ${clients.emailKey})` })
    .from(clients)
    .where(matching)
    .prepare()
  const keys = db
    .select({ key: clients.emailKey })
    .from(clients)
    .where(matching)
    .groupBy(clients.emailKey)
    .orderBy(asc(clients.emailKey))
    .limit(sql.placeholder('limit'))
    .offset(sql.placeholder('offset'))
    .prepare()
  const ofKeys = selectClients(
    db,
    sql`${clients.emailKey} in (select value from json_each(${sql.placeholder('keys')}))`,
  )
    .orderBy(asc(clients.emailKey), asc(clients.serverId))
    .prepare()
  const ofKey = selectClients(db, eq(clients.emailKey, sql.placeholder('key')))
    .orderBy(asc(clients.serverId))
    .prepare()

  function toPeople(rows: ClientRow[]): Person[] {
    const servers = new Map(deps.servers().map((server) => [server.id, server]))
    const people = new Map<string, Person>()
    for (const client of rows) {
      const server = servers.get(client.serverId)
      if (server === undefined) continue
      const key = emailKey(client.email)
      const person = people.get(key) ?? { email: client.email, placements: [], up: 0, down: 0 }
      people.set(key, person)
      person.placements.push({ server, client })
      person.up += client.up
      person.down += client.down
    }
    return [...people.values()]
  }

  return {
    people(query: { page: number; size: number; search?: string }): Page<Person> {
      const search = emailKey(query.search?.trim() ?? '')
      const total = count.get({ search })?.total ?? 0
      return paged(query, total, (limit, offset) => {
        const page = keys.all({ search, limit, offset }).map(({ key }) => key)
        return toPeople(ofKeys.all({ keys: JSON.stringify(page) }).map((row) => toClientRow(box, row)))
      })
    },

    person(email: string): Person | undefined {
      return toPeople(ofKey.all({ key: emailKey(email) }).map((row) => toClientRow(box, row)))[0]
    },
  }
}
