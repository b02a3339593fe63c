import { Participant, type WaitOptions } from './participant.ts'

/** A person, at their private chat with the bot. */
export class User extends Participant {
  /** The same person in a group. */
  in(group: { chatId: number }): Participant {
    const chat = this.world.chats.get(group.chatId)
    if (chat === undefined || !chat.members.has(this.id)) throw new Error('This person is not in that group')
    return new Participant(this.world, this.person, chat)
  }

  /** Blocks the bot: it hears of it, and what it sends from now on is refused with 403. */
  blocks(): void {
    this.#setBlocked(true)
  }

  unblocks(): void {
    this.#setBlocked(false)
  }

  #setBlocked(blocked: boolean): void {
    if (this.person.blocked === blocked) return
    this.person.blocked = blocked
    this.world.updates.push('my_chat_member', {
      chat: this.chat.info,
      from: this.person.account,
      date: this.world.seconds(),
      old_chat_member: { user: this.world.bot, status: blocked ? 'member' : 'kicked', until_date: 0 },
      new_chat_member: { user: this.world.bot, status: blocked ? 'kicked' : 'member', until_date: 0 },
    })
  }

  /** Types `@bot query` and waits for the inline results. */
  async searches(query: string, options: WaitOptions = {}): Promise<unknown[]> {
    const queryId = this.world.newQueryId()
    const state: { userId: number; at: number; results?: unknown[] } = {
      userId: this.id,
      at: this.world.runtime.now(),
    }
    this.world.inlineQueries.set(queryId, state)
    this.world.updates.push('inline_query', {
      id: queryId,
      from: this.person.account,
      query,
      offset: '',
      chat_type: 'sender',
    })
    return this.until(() => state.results, { what: 'inline results', ...options })
  }
}
