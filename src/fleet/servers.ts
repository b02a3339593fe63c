import { and, asc, eq, ne, sql } from 'drizzle-orm'
import { LONGEST_REASON, clip } from '#src/clip.ts'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Db } from '#src/store/drizzle.ts'
import { servers as table } from '#src/store/schema.ts'
import type { Connections } from './connections.ts'
import type { Emitter } from './events.ts'
import type { Journal, TaskRow } from './journal.ts'
import { nameKey, parseNewServer, parseServerEdit } from './server-input.ts'
import type { Actor, FleetEvents, Server, ServerReport, Servers } from './types.ts'

export interface ServersDeps {
  db: Db
  journal: Journal
  runtime: Pick<Runtime, 'now'>
  events: Emitter<FleetEvents>
  connections: Connections
  invite(serverId: number): { command: string; token: string; expiresAt: number }
  revoke(serverId: number): void
  /** A server may be reachable, or allowed, again. */
  awake(serverId: number): void
  /** What is pending on a server has to wait from now on. */
  asleep(serverId: number): void
  /** A server and its rows are gone; these of its tasks were cancelled. */
  removed(serverId: number, cancelled: TaskRow[]): void
}

type Row = typeof table.$inferSelect
type Change = Partial<Omit<Row, 'id' | 'updatedAt'>>

export interface ServersService extends Servers {
  /** The server has its first certificate, and may be dialled at `endpoint` where it is dialled at all. */
  joined(id: number, endpoint: string | null): void
  /** Writes the sightings kept in memory. */
  flush(): void
}

export function createServers(deps: ServersDeps): ServersService {
  const { db, journal, runtime, events } = deps
  /** Sightings newer than the row's, ms: an idle server costs no write. */
  const seen = new Map<number, number>()

  const all = db.select().from(table).orderBy(asc(table.id)).prepare()
  const counted = db
    .select({ n: sql<number>`count(*)` })
    .from(table)
    .prepare()
  const byId = db.query.servers
    .findFirst({ where: (row, { eq: same }) => same(row.id, sql.placeholder('id')) })
    .prepare()

  function toServer({ nameKey: _key, updatedAt: _at, ...row }: Row): Server {
    const lastSeen = seen.get(row.id)
    return lastSeen === undefined ? row : { ...row, lastSeen: Math.max(lastSeen, row.lastSeen ?? 0) }
  }

  const count = (): number => counted.get()?.n ?? 0
  const list = (): Server[] => all.all().map(toServer)
  function find(id: number): Server | undefined {
    const row = byId.execute({ id }).sync()
    return row && toServer(row)
  }
  const get = (id: number): Server => find(id) ?? fail('SERVER_NOT_FOUND', { server: id })

  function checkNameFree(name: string, but = 0): void {
    const taken = db
      .select({ id: table.id })
      .from(table)
      .where(and(eq(table.nameKey, nameKey(name)), ne(table.id, but)))
      .get()
    if (taken !== undefined) fail('SERVER_NAME_TAKEN', { name })
  }

  function update(id: number, change: Change): void {
    db.update(table)
      .set({ ...change, updatedAt: runtime.now() })
      .where(eq(table.id, id))
      .run()
  }

  /** Rows and their record in the journal are one commit; then whoever listens is told. */
  function change<T>(id: number | undefined, work: () => T): T {
    const result = db.$client.transaction(work).immediate()
    if (id !== undefined) events.emit('server', { serverId: id })
    return result
  }

  function remove(id: number, actor: Actor): void {
    const server = get(id)
    if (server.kind === 'local') fail('SERVER_IS_LOCAL')
    const cancelled = change(id, () => {
      const tasks = journal
        .open(id)
        .map((task) => journal.settle(task.id, { status: 'cancelled', error: null }))
      journal.forgetServer(id)
      journal.record(id, 'servers.remove', { name: server.name }, actor)
      deps.revoke(id)
      db.delete(table).where(eq(table.id, id)).run()
      return tasks.filter((task) => task !== undefined)
    })
    seen.delete(id)
    void deps.connections.drop(id)
    deps.removed(id, cancelled)
  }

  function report(id: number, found: ServerReport): void {
    const row = byId.execute({ id }).sync()
    if (row === undefined) return
    if (found.lastSeen !== undefined) seen.set(id, Math.max(found.lastSeen, seen.get(id) ?? 0))
    const news = changed(row, factsOf(found))
    if (Object.keys(news).length === 0) return
    const lastSeen = seen.get(id)
    update(id, lastSeen === undefined ? news : { ...news, lastSeen })
    events.emit('server', { serverId: id })
    if (news.status === 'offline') deps.asleep(id)
    else if (news.status !== undefined) deps.awake(id)
  }

  return {
    list,
    get,
    find,
    count,
    isSingle: () => count() === 1,

    default() {
      const servers = list()
      const enabled = servers.filter((server) => server.enabled)
      const local = enabled.find((server) => server.kind === 'local')
      // One that is switched off is still a better answer than none: what is asked of it says that it is off.
      return local ?? enabled[0] ?? servers[0] ?? fail('SERVER_NOT_FOUND', { server: 'default' })
    },

    create(input, actor) {
      const { name, region, publicAddress = null } = parseNewServer(input)
      const now = runtime.now()
      const id = change(undefined, () => {
        checkNameFree(name)
        const row = db
          .insert(table)
          .values({
            name,
            nameKey: nameKey(name),
            kind: 'agent',
            region,
            publicAddress,
            createdAt: now,
            updatedAt: now,
          })
          .returning({ id: table.id })
          .get()
        journal.record(row.id, 'servers.create', { name, region, publicAddress }, actor)
        return row.id
      })
      events.emit('server', { serverId: id })
      return get(id)
    },

    edit(id, input, actor) {
      const server = get(id)
      const news = changed(server, parseServerEdit(input))
      if (Object.keys(news).length === 0) return server
      change(id, () => {
        if (news.name !== undefined) checkNameFree(news.name, id)
        update(id, news.name === undefined ? news : { ...news, nameKey: nameKey(news.name) })
        journal.record(id, 'servers.edit', news, actor)
      })
      return get(id)
    },

    setEnabled(id, enabled, actor) {
      const server = get(id)
      if (server.enabled === enabled) return server
      change(id, () => {
        update(id, { enabled })
        journal.record(id, 'servers.enable', { enabled }, actor)
      })
      if (enabled) deps.awake(id)
      else deps.asleep(id)
      return get(id)
    },

    remove,

    invite(id, actor) {
      const server = get(id)
      if (server.kind === 'local')
        fail('BAD_INPUT', { field: 'server', reason: 'fleetgram itself runs on it, so it needs not join' })
      return change(undefined, () => {
        journal.record(id, 'servers.invite', {}, actor)
        return deps.invite(id)
      })
    },

    report,

    joined(id, endpoint) {
      get(id)
      update(id, { endpoint })
      // What was open before led to whoever had this place until now.
      void deps.connections.drop(id)
      events.emit('server', { serverId: id })
      events.emit('joined', { serverId: id })
      deps.awake(id)
    },

    flush() {
      db.transaction(() => {
        for (const [id, lastSeen] of seen) db.update(table).set({ lastSeen }).where(eq(table.id, id)).run()
      })
      seen.clear()
    },
  }
}

/** Characters. Of a version, and of the name of a system: what is longer is none, and is to leave screens their room. */
const LONGEST_NAME = 100

/** What was found, no longer than a screen has room for: a server may say of itself what it likes. */
function factsOf({
  status,
  lastError,
  problem,
  version,
  xrayVersion,
  osInfo,
}: ServerReport): Omit<ServerReport, 'lastSeen'> {
  const cut = <T extends string | null | undefined>(text: T, length: number): T =>
    typeof text === 'string' ? (clip(text, length) as T) : text
  const found = {
    status,
    lastError: cut(lastError, LONGEST_REASON),
    problem,
    version: cut(version, LONGEST_NAME),
    xrayVersion: cut(xrayVersion, LONGEST_NAME),
    osInfo: cut(osInfo, LONGEST_NAME),
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined))
}

/** What of `next` differs from what is there. */
function changed<T extends object, N extends Partial<T>>(there: T, next: N): Partial<N> {
  const entries = Object.entries(next).filter(
    ([key, value]) =>
      value !== undefined &&
      JSON.stringify(value) !== JSON.stringify((there as Record<string, unknown>)[key]),
  )
  return Object.fromEntries(entries) as Partial<N>
}
