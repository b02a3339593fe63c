import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomId } from '../runtime.ts'
import type { Chat, Person } from './model.ts'
import { streamChat } from './page-events.ts'
import { guardResponse, isOwnHost, isOwnPost } from './page-guard.ts'
import { isRecord } from './params.ts'
import { Participant } from './participant.ts'
import type { World } from './world.ts'

/** A button beside the chat; `run` resolves to a line that says what was done. */
export interface DemoAction {
  id: string
  label: string
  hint?: string
  run(): Promise<string>
}

/** A link beside the chat. */
export interface DemoLink {
  label: string
  url: string
}

export interface ChatPageOptions {
  actions: readonly DemoAction[]
  links: readonly DemoLink[]
}

/** Answers every request that is not the bot's. Never rejects. */
export type ChatPageHandler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>

/** What a person types is at most a message; anything larger was not sent by the page. */
const POST_BYTES = 64 * 1024

const ASSETS = new Map([
  ['/', { file: 'index.html', type: 'text/html; charset=utf-8' }],
  ['/page/chat.css', { file: 'chat.css', type: 'text/css; charset=utf-8' }],
  ['/page/message.css', { file: 'message.css', type: 'text/css; charset=utf-8' }],
  ['/page/chat.js', { file: 'chat.js', type: 'text/javascript; charset=utf-8' }],
  ['/page/message.js', { file: 'message.js', type: 'text/javascript; charset=utf-8' }],
  ['/page/entities.js', { file: 'entities.js', type: 'text/javascript; charset=utf-8' }],
  ['/page/panel.js', { file: 'panel.js', type: 'text/javascript; charset=utf-8' }],
  ['/page/dom.js', { file: 'dom.js', type: 'text/javascript; charset=utf-8' }],
  ['/page/icon.svg', { file: 'icon.svg', type: 'image/svg+xml' }],
])

class PageError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The chat page: a messenger in the browser for anyone this Telegram knows. */
export function createChatPage(world: World, options: ChatPageOptions): ChatPageHandler {
  const token = randomId(world.runtime)

  const get = (url: URL, response: ServerResponse): void => {
    const asset = ASSETS.get(url.pathname)
    if (asset !== undefined) return sendAsset(response, asset, token)
    if (url.pathname === '/page/state') return sendJson(response, 200, stateOf(world, options))
    if (url.pathname === '/page/events') {
      const { person, chat } = locate(world, url.searchParams.get('user'), url.searchParams.get('chat'))
      return streamChat(world, person, chat, response)
    }
    const fileId = /^\/page\/files\/([\w-]+)$/.exec(url.pathname)?.[1]
    const file = fileId === undefined ? undefined : world.files.get(fileId)
    if (file === undefined) throw new PageError(404, 'Not found')
    const image = file.mime.startsWith('image/')
    response.setHeader('content-type', image ? file.mime : 'application/octet-stream')
    if (!image || url.searchParams.has('download')) {
      response.setHeader(
        'content-disposition',
        `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`,
      )
    }
    response.end(file.bytes)
  }

  const post = async (url: URL, body: Record<string, unknown>): Promise<unknown> => {
    const actionId = /^\/page\/actions\/(.+)$/.exec(url.pathname)?.[1]
    if (actionId !== undefined) {
      const action = options.actions.find(({ id }) => id === decodeURIComponent(actionId))
      if (action === undefined) throw new PageError(404, 'There is no such action')
      return { said: await action.run() }
    }
    if (url.pathname === '/page/people') return addPerson(world, body['firstName'])
    const { person, chat } = locate(world, body['user'], body['chat'])
    const participant = new Participant(world, person, chat)
    if (url.pathname === '/page/send') {
      const { messageId } = await participant.sends(typeof body['text'] === 'string' ? body['text'] : '')
      return { messageId }
    }
    if (url.pathname === '/page/tap') {
      const entry = world.find(chat, Number(body['message']))
      const row = entry?.message.reply_markup?.inline_keyboard[Number(body['row'])]
      const button = row?.[Number(body['column'])]
      // The keyboard may have changed while the finger was on its way.
      if (entry === undefined || button === undefined) throw new PageError(409, 'That button is gone')
      if (!('callback_data' in button)) throw new PageError(400, 'That button asks the bot nothing')
      return participant.tapsData(entry.message.message_id, button.callback_data)
    }
    throw new PageError(404, 'Not found')
  }

  return async (request, response, url) => {
    guardResponse(response)
    try {
      if (!isOwnHost(request)) throw new PageError(421, 'Open this page by its address or as localhost')
      if (request.method === 'GET') return get(url, response)
      if (request.method !== 'POST') throw new PageError(405, 'Method not allowed')
      if (!isOwnPost(request, token)) throw new PageError(403, 'This did not come from the page. Reload it.')
      sendJson(response, 200, await post(url, await readJson(request)))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      sendJson(response, error instanceof PageError ? error.status : 400, { error: message })
    }
  }
}

function stateOf(world: World, options: ChatPageOptions): unknown {
  return {
    bot: world.bot,
    people: [...world.people.values()].map(({ account }) => account),
    actions: options.actions.map(({ id, label, hint }) => ({ id, label, hint })),
    links: options.links,
  }
}

function addPerson(world: World, firstName: unknown): { id: number } {
  const name = typeof firstName === 'string' ? firstName.trim().slice(0, 64) : ''
  if (name === '') throw new PageError(400, 'A person needs a name')
  const id = Math.max(100_000, ...world.people.keys()) + 1
  world.addPerson({ id, is_bot: false, first_name: name, language_code: 'en' })
  return { id }
}

function locate(world: World, userId: unknown, chatId: unknown): { person: Person; chat: Chat } {
  const person = world.people.get(Number(userId))
  if (person === undefined) throw new PageError(404, 'This person is not known here')
  const chat = world.chats.get(chatId === null || chatId === undefined ? person.account.id : Number(chatId))
  if (chat === undefined || !chat.members.has(person.account.id))
    throw new PageError(404, 'This chat is not known here')
  return { person, chat }
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > POST_BYTES) throw new PageError(413, 'Too large')
    chunks.push(chunk)
  }
  const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}')
  if (!isRecord(value)) throw new PageError(400, 'Not a JSON object')
  return value
}

function sendAsset(response: ServerResponse, asset: { file: string; type: string }, token: string): void {
  // Read on every request: the page can be worked on while the demo runs.
  const text = readFileSync(new URL(`./page/${asset.file}`, import.meta.url), 'utf8')
  response.setHeader('content-type', asset.type)
  response.end(asset.file === 'index.html' ? text.replace('{{token}}', token) : text)
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) return void response.destroy()
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
