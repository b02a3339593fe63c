import type { Need } from '../access.ts'
import type { Fields, Verb } from '../callback-data.ts'
import type { Toast } from '../services.ts'
import type { BotContext } from '../types.ts'

/** What a button does. */
interface Route<V extends Verb> {
  need: Need
  /** An alert's buttons and the like leave a wizard that is under way alone; everything else ends it. */
  keepsWizard?: true
  run(ctx: BotContext, fields: Fields<V>): Promise<Toast | void>
}

export type Routes<V extends Verb = Verb> = { [K in V]: Route<K> }

/** Whose taps on buttons offered now will count. */
export function ownerOf(ctx: BotContext): { chat: string; userId: string } {
  return { chat: String(ctx.spot.chatId), userId: String(ctx.who.userId) }
}
