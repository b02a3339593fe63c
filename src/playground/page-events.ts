import type { ServerResponse } from 'node:http'
import { commandsFor } from './methods-bot.ts'
import type { Chat, Entry, Person, WorldEvent } from './model.ts'
import type { World } from './world.ts'

/** A page that does not read is cut off beyond this many bytes; it reconnects and gets a fresh snapshot. */
const BACKLOG_BYTES = 4 * 1024 * 1024

/** Streams one person's view of one chat as server-sent events: a snapshot first, then every change. */
export function streamChat(world: World, person: Person, chat: Chat, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  const send = (name: string, data: unknown): void => {
    if (response.writableLength > BACKLOG_BYTES) response.destroy()
    else response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  }
  response.write('retry: 1000\n\n')
  send('snapshot', snapshot(world, person, chat))
  const unsubscribe = world.subscribe((event) => {
    const shown = show(world, person, chat, event)
    if (shown !== undefined) send(shown.name, shown.data)
  })
  response.once('close', unsubscribe)
}

function snapshot(world: World, person: Person, chat: Chat): unknown {
  const chats = [...world.chats.values()].filter(({ members }) => members.has(person.account.id))
  return {
    bot: world.bot,
    me: person.account,
    chat: chat.info,
    chats: chats.map(({ info }) => info),
    description: world.profile.texts.get('description:') ?? '',
    started: chat.info.type !== 'private' || person.started,
    messages: chat.entries.map(shownMessage),
    pinned: chat.pinned.at(-1) ?? null,
    commands: commandsOf(world, person, chat),
  }
}

function show(
  world: World,
  person: Person,
  chat: Chat,
  event: WorldEvent,
): { name: string; data: unknown } | undefined {
  if (event.kind === 'commands') return { name: 'commands', data: commandsOf(world, person, chat) }
  if (event.kind === 'people') return { name: 'people', data: null }
  if (event.kind === 'answered') {
    const { tap, answer } = event
    if (tap.userId !== person.account.id || tap.chatId !== chat.info.id) return undefined
    return { name: 'answered', data: { queryId: tap.id, ...answer } }
  }
  if (event.kind === 'inline' || event.chatId !== chat.info.id) return undefined
  if (event.kind === 'message')
    return { name: 'message', data: { ...shownMessage(event.entry), isEdit: event.edited } }
  if (event.kind === 'deleted') return { name: 'deleted', data: event.messageIds }
  if (event.kind === 'pinned') return { name: 'pinned', data: chat.pinned.at(-1) ?? null }
  return { name: 'typing', data: event.action }
}

function shownMessage({ message, silent, reactions }: Entry): object {
  return { ...message, silent, reactions }
}

function commandsOf(world: World, person: Person, chat: Chat): unknown {
  return commandsFor(world, chat.info.id, person.account.id, person.account.language_code)
}
