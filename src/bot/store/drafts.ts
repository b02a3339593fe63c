import { eq, lt } from 'drizzle-orm'
import { type Db, tables } from '#src/store/drizzle.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'

/**
 * Conversation state by `${chat}:${thread}:${from}`, sealed. Writes are held back until `commit`, which stands in the
 * transaction that marks the update as handled: a kill in between must not leave a wizard one step ahead of the
 * update that is then handled again.
 */
export interface Drafts {
  read(key: string): unknown
  write(key: string, value: unknown): void
  delete(key: string): void
  /** Puts held-back writes of a key into the database. */
  commit(key: string, now: number): void
  /** Forgets held-back writes: the update is going to be handled again. */
  discard(key: string): void
  /** Throws a draft away at once, whatever is held back. */
  drop(key: string): void
  prune(before: number): void
}

export function createDrafts(db: Db, box: SecretBox): Drafts {
  const { drafts } = tables
  const place = (key: string): string => `drafts:${key}:value`
  const held = new Map<string, unknown>()
  const remove = (key: string): void => void db.delete(drafts).where(eq(drafts.key, key)).run()

  return {
    read(key) {
      if (held.has(key)) return held.get(key)
      const row = db.select().from(drafts).where(eq(drafts.key, key)).get()
      return row === undefined ? undefined : (JSON.parse(box.open(row.value, place(key))) as unknown)
    },
    write: (key, value) => void held.set(key, value),
    delete: (key) => void held.set(key, undefined),
    commit(key, now) {
      if (!held.has(key)) return
      const value = held.get(key)
      held.delete(key)
      if (value === undefined) return remove(key)
      const sealed = box.seal(JSON.stringify(value), place(key))
      db.insert(drafts)
        .values({ key, value: sealed, updatedAt: now })
        .onConflictDoUpdate({ target: drafts.key, set: { value: sealed, updatedAt: now } })
        .run()
    },
    discard: (key) => void held.delete(key),
    drop(key) {
      held.delete(key)
      remove(key)
    },
    prune: (before) => void db.delete(drafts).where(lt(drafts.updatedAt, before)).run(),
  }
}
