import { asc, eq, sql } from 'drizzle-orm'
import { emailKey } from '#src/node/rows/rows.ts'
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
  // Pages are made of names: those of rows, and those that have none yet.
  const names = `select email_key as key from clients
    where (@search = '' or instr(email_key, @search) > 0) and (@disabled = 0 or enabled = 0)
    union select value as key from json_each(@arriving)`
  const count = db.$client.prepare(`select count(*) from (${names})`).pluck()
  const keys = db.$client.prepare(`${names} order by key limit @limit offset @offset`).pluck()
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
      const disabled = query.filter === 'disabled'
      // Whoever is on the way is on the way to be let in.
      const arriving = disabled ? [] : deps.arriving().flatMap(({ emails }) => emails.map(emailKey))
      const filter = {
        search,
        disabled: disabled ? 1 : 0,
        arriving: JSON.stringify(arriving.filter((key) => key.includes(search))),
      }
      return paged(query, count.get(filter) as number, (limit, offset) => {
        const page = keys.all({ ...filter, limit, offset }) as string[]
        const rows = ofKeys.all({ keys: JSON.stringify(page) }).map((row) => toClientRow(box, row))
        const people = withArrivals(toPeople(rows), (key) => page.includes(key))
        return people.toSorted((a, b) => page.indexOf(emailKey(a.email)) - page.indexOf(emailKey(b.email)))
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
