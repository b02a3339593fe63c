import type { Deleted } from '#src/contract/index.ts'
import { emailKey } from '#src/node/rows/rows.ts'
import type { Sqlite } from '#src/store/open.ts'
import { DAY_MS } from '#src/runtime.ts'

/** A change that a server has carried out. */
export interface Done {
  operation: string
  input: unknown
  /** ms */
  at: number
}

interface Mark {
  name: string
  /** When it was deleted, ms. */
  deletedAt: number
  /** What has this name and was made later is another; none: nothing has. */
  until?: number
}

/** The clock a backup was made by is not the one of the journal. */
const MARGIN_MS = DAY_MS

/**
 * What was deleted on a server since a moment, by the names it had, from its changes in the order they were carried out.
 * A name that was given again afterwards comes with the time up to which it was the one that was deleted.
 */
export function deletedSince(since: number, changes: Iterable<Done>): Deleted {
  const clients = new Map<string, Mark>()
  const inbounds = new Map<string, Mark>()
  const certificates = new Map<string, Mark>()
  /** What an inbound was called before, and until when. */
  const formerly = new Map<string, { tag: string; until: number }[]>()

  /** The name is somebody's again. */
  const revive = (marks: Map<string, Mark>, key: string): void => {
    const mark = marks.get(key)
    if (mark !== undefined) mark.until ??= mark.deletedAt
  }
  const bury = (email: string, at: number): void => {
    clients.set(emailKey(email), { name: email, deletedAt: at })
  }
  const work: Record<string, (input: never, at: number) => void> = {
    'clients.add': (input: { clients: { email: string }[] }) => {
      for (const { email } of input.clients) revive(clients, emailKey(email))
    },
    'clients.delete': ({ email }: { email: string }, at) => bury(email, at),
    'clients.deleteMany': ({ emails }: { emails: string[] }, at) => {
      for (const email of emails) bury(email, at)
    },
    'inbounds.add': ({ tag }: { tag: string }) => {
      formerly.delete(tag)
      revive(inbounds, tag)
    },
    'inbounds.update': ({ id, tag }: { id: string; tag?: string }, at) => {
      if (tag === undefined || tag === id) return
      formerly.set(tag, [...(formerly.get(id) ?? []), { tag: id, until: at }])
      formerly.delete(id)
      revive(inbounds, tag)
    },
    'inbounds.delete': ({ id }: { id: string }, at) => {
      for (const { tag, until } of formerly.get(id) ?? []) {
        inbounds.set(tag, { name: tag, deletedAt: at, until })
      }
      formerly.delete(id)
      inbounds.set(id, { name: id, deletedAt: at })
    },
    'certificates.generate': ({ domain }: { domain: string }) => revive(certificates, domain),
    'certificates.import': ({ domain }: { domain: string }) => revive(certificates, domain),
    'certificates.delete': ({ domain }: { domain: string }, at) => {
      certificates.set(domain, { name: domain, deletedAt: at })
    },
  }
  for (const { operation, input, at } of changes) work[operation]?.(input as never, at)

  const listed = (marks: Map<string, Mark>) =>
    [...marks.values()]
      .filter(({ deletedAt }) => deletedAt >= since - MARGIN_MS)
      .map(({ name, until }) => ({ name, ...(until === undefined ? {} : { at: until }) }))
  const goneCertificates = listed(certificates)
  return {
    clients: listed(clients).map(({ name, ...rest }) => ({ email: name, ...rest })),
    inbounds: listed(inbounds).map(({ name, ...rest }) => ({ inbound: name, ...rest })),
    // A server of an older release takes no word of them.
    ...(goneCertificates.length > 0 && {
      certificates: goneCertificates.map(({ name, ...rest }) => ({ domain: name, ...rest })),
    }),
  }
}

/** The same from the journal. @returns what a server was told to delete since `since`, ms, and has deleted */
export function createDeletions(sqlite: Sqlite): (serverId: number, since: number) => Deleted {
  const done = sqlite.prepare(
    // unchanged: it was gone already.
    `select operation, input, finished_at as at from server_tasks
     where server_id = ? and status in ('applied', 'unchanged')
       and operation in ('clients.add', 'clients.delete', 'clients.deleteMany', 'inbounds.add', 'inbounds.update',
         'inbounds.delete', 'certificates.generate', 'certificates.import', 'certificates.delete')
     order by seq`,
  )
  function* parsed(rows: Iterable<unknown>): Generator<Done> {
    for (const row of rows as Iterable<Done & { input: string }>) {
      yield { ...row, input: JSON.parse(row.input) as unknown }
    }
  }
  return (serverId, since) => deletedSince(since, parsed(done.iterate(serverId)))
}
