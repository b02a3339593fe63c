import { asc, eq, sql } from 'drizzle-orm'
import { emailKey } from '#src/node/rows.ts'
import type { Db } from '#src/store/drizzle.ts'
import { clients } from '#src/store/schema.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { selectClients, toClientRow } from './client-rows.ts'
import { paged } from './paging.ts'
import type { ClientRow, Page, PeopleQuery, Person, Server } from './types.ts'

/** Clients on their way to a server. */
export interface Arrival {
  serverId: number
  emails: string[]
}

/** One client across servers: those with one name, compared without regard to case. */
export function createPeople(deps: {
  db: Db
  box: SecretBox
  servers(): Server[]
  /** Clients that servers are told of but may not show yet. */
  arriving(): Arrival[]
}) {
  const { db, box } = deps
  const matching = sql`(${sql.placeholder('search')} = '' or instr(${clients.emailKey}, ${sql.placeholder('search')}) > 0)
    and (${sql.placeholder('disabled')} = 0 or ${clients.enabled} = 0)`
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

  function toPeople(rows: ClientRow[]): Map<string, Person> {
    const servers = new Map(deps.servers().map((server) => [server.id, server]))
    const people = new Map<string, Person>()
    for (const client of rows) {
      const server = servers.get(client.serverId)
      if (server === undefined) continue
      const person = personOf(people, client.email)
      person.placements.push({ server, client })
      person.up += client.up
      person.down += client.down
    }
    return people
  }

  /** Adds where people will be. Without this a client deleted everywhere would come to life where it was awaited. */
  function withArrivals(people: Map<string, Person>, isWanted: (key: string) => boolean): Person[] {
    const servers = new Map(deps.servers().map((server) => [server.id, server]))
    for (const { serverId, emails } of deps.arriving()) {
      const server = servers.get(serverId)
      for (const email of emails) {
        if (server === undefined || !isWanted(emailKey(email))) continue
        const { placements, waiting } = personOf(people, email)
        const known = [...placements.map((placement) => placement.server), ...waiting]
        if (known.every(({ id }) => id !== serverId)) waiting.push(server)
      }
    }
    return [...people.values()]
  }

  return {
    people(query: PeopleQuery): Page<Person> {
      const search = emailKey(query.search?.trim() ?? '')
      const filter = { search, disabled: query.filter === 'disabled' ? 1 : 0 }
      const total = count.get(filter)?.total ?? 0
      return paged(query, total, (limit, offset) => {
        const page = keys.all({ ...filter, limit, offset }).map(({ key }) => key)
        const rows = ofKeys.all({ keys: JSON.stringify(page) }).map((row) => toClientRow(box, row))
        // Who stands nowhere yet is on no page: pages are made of rows.
        return withArrivals(toPeople(rows), (key) => page.includes(key))
      })
    },

    person(email: string): Person | undefined {
      const key = emailKey(email)
      const rows = ofKey.all({ key }).map((row) => toClientRow(box, row))
      return withArrivals(toPeople(rows), (other) => other === key)[0]
    },
  }
}

function personOf(people: Map<string, Person>, email: string): Person {
  const key = emailKey(email)
  const person = people.get(key) ?? { email, placements: [], waiting: [], up: 0, down: 0 }
  people.set(key, person)
  return person
}
