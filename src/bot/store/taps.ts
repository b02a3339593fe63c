import { eq, lt } from 'drizzle-orm'
import { DAY_MS, type Runtime, randomId } from '#src/runtime.ts'
import { type Db, tables } from '#src/store/drizzle.ts'

/** Long enough to read a question, short enough that an old button cannot surprise anybody. */
const TAP_LIFE_MS = 10 * 60 * 1000

/** Who may use a nonce, and where. */
interface TapOwner {
  chat: string
  userId: string
}

type TapLookup<A> =
  | { state: 'fresh'; action: A }
  | { state: 'used'; action: A }
  | { state: 'expired' }
  | { state: 'foreign' }

/** Single-use nonces behind buttons that change something. */
export interface Taps<A> {
  /** @returns the nonce to put on the button. */
  offer(owner: TapOwner, action: A): string
  /** Ties nonces to the message they stand on, which is not known before it is sent. */
  bind(nonces: readonly string[], messageId: number): void
  look(owner: TapOwner, nonce: string, messageId: number | undefined): TapLookup<A>
  /** From now on the nonce only shows what became of it. */
  use(nonce: string): void
  prune(): void
}

interface Stored<A> {
  action: A
  message: number | null
}

export function createTaps<A>(db: Db, runtime: Runtime): Taps<A> {
  const { taps } = tables
  const find = (nonce: string) => db.select().from(taps).where(eq(taps.nonce, nonce)).get()
  return {
    offer({ chat, userId }, action) {
      // 96 bits: not to be guessed, and short enough for a button.
      const nonce = randomId(runtime, 96)
      const createdAt = runtime.now()
      db.insert(taps)
        .values({
          nonce,
          chat,
          userId,
          action: { action, message: null },
          createdAt,
          expiresAt: createdAt + TAP_LIFE_MS,
        })
        .run()
      return nonce
    },
    bind(nonces, messageId) {
      for (const nonce of nonces) {
        const stored = find(nonce)?.action as Stored<A> | undefined
        if (stored === undefined) continue
        db.update(taps)
          .set({ action: { ...stored, message: messageId } })
          .where(eq(taps.nonce, nonce))
          .run()
      }
    },
    look({ chat, userId }, nonce, messageId) {
      const row = find(nonce)
      if (row === undefined) return { state: 'expired' }
      const { action, message } = row.action as Stored<A>
      if (row.chat !== chat || row.userId !== userId) return { state: 'foreign' }
      if (message !== null && message !== messageId) return { state: 'foreign' }
      if (row.usedAt !== null) return { state: 'used', action }
      return row.expiresAt <= runtime.now() ? { state: 'expired' } : { state: 'fresh', action }
    },
    use(nonce) {
      db.update(taps).set({ usedAt: runtime.now() }).where(eq(taps.nonce, nonce)).run()
    },
    // A day more, so that a tap on a used button still finds out what became of it.
    prune: () =>
      void db
        .delete(taps)
        .where(lt(taps.expiresAt, runtime.now() - DAY_MS))
        .run(),
  }
}
