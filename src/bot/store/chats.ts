import { eq, like } from 'drizzle-orm'
import { type Db, tables } from '#src/store/drizzle.ts'

/** The live message of one person in one chat, and what it shows. */
interface ChatRow {
  id: string
  screenMessageId: number | null
  /** The address of the screen shown there (see routes), so that it can be drawn again after a restart. */
  screen: string | null
  language: string | null
}

export interface Chats {
  get(id: string): ChatRow | undefined
  set(id: string, change: Partial<Omit<ChatRow, 'id'>>, now: number): void
  /** Chats that show a screen whose address begins like this. */
  showing(prefix: string): ChatRow[]
}

export function createChats(db: Db): Chats {
  const { chats } = tables
  const columns = {
    id: chats.id,
    screenMessageId: chats.screenMessageId,
    screen: chats.screen,
    language: chats.language,
  }
  return {
    get: (id) => db.select(columns).from(chats).where(eq(chats.id, id)).get(),
    set(id, change, now) {
      db.insert(chats)
        .values({ id, ...change, updatedAt: now })
        .onConflictDoUpdate({ target: chats.id, set: { ...change, updatedAt: now } })
        .run()
    },
    showing: (prefix) =>
      db
        .select(columns)
        .from(chats)
        .where(like(chats.screen, `${prefix}%`))
        .all(),
  }
}

/** Whether a button was tapped on the message that shows the screen, and not on one further up. */
export function isOnLiveMessage(
  { chats }: { chats: Chats },
  ctx: { spot: { key: string }; callbackQuery?: { message?: { message_id: number } } },
): boolean {
  const tapped = ctx.callbackQuery?.message?.message_id
  return tapped !== undefined && tapped === chats.get(ctx.spot.key)?.screenMessageId
}
