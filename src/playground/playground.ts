import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Runtime, systemRuntime } from '../runtime.ts'
import { createBotApi } from './bot-api.ts'
import { type DemoAction, type DemoLink, createChatPage } from './chat-page.ts'
import { FaultPlan, type Faults } from './faults.ts'
import { User } from './user.ts'
import { World } from './world.ts'

export interface PlaygroundOptions {
  /** The bot's token, in Telegram's form `<id>:<secret>`. */
  token: string
  /** `host:port`, default 127.0.0.1 on a free port. */
  listen?: string
  runtime?: Runtime
  botUsername?: string
  botName?: string
  /** Buttons beside the chat: what they do is up to whoever starts the playground. */
  actions?: readonly DemoAction[]
  links?: readonly DemoLink[]
}

export interface PersonOptions {
  id: number
  firstName: string
  username?: string
  languageCode?: string
}

/** A Telegram of one's own: the Bot API for a bot, people for tests, a chat page for eyes. */
export interface Playground {
  /** For grammY's `client.apiRoot`: it calls `<apiRoot>/bot<token>/<method>`. */
  apiRoot: string
  /** The chat page. */
  url: string
  /** Adds a person; the same id twice is the same person. */
  user(options: PersonOptions): User
  /** Adds a group with these people and the bot in it. */
  group(options: { id: number; title: string; members: readonly User[] }): { chatId: number }
  faults: Faults
  stop(): Promise<void>
}

/** Starts a playground. Throws an Error for a token that is none, rejects when the address cannot be listened on. */
export async function startPlayground(options: PlaygroundOptions): Promise<Playground> {
  const runtime = options.runtime ?? systemRuntime()
  const botId = /^(\d+):[\w-]+$/.exec(options.token)?.[1]
  if (botId === undefined) throw new Error('The token is not one: it is <number>:<secret>')
  const username = options.botUsername ?? 'fleetgram_bot'
  const world = new World(runtime, {
    id: Number(botId),
    is_bot: true,
    first_name: options.botName ?? 'fleetgram',
    username,
  })
  const faults = new FaultPlan()
  const botApi = createBotApi(world, faults, options.token)
  const page = createChatPage(world, { actions: options.actions ?? [], links: options.links ?? [] })

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://playground')
    const forBot = url.pathname.startsWith('/bot') || url.pathname.startsWith('/file/')
    void (forBot ? botApi(request, response, url) : page(request, response, url))
  })
  const { host, port } = splitAddress(options.listen ?? '127.0.0.1:0')
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const bound = server.address() as AddressInfo
  const root = `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`

  return {
    apiRoot: root,
    url: `${root}/`,
    user(person) {
      const entry = world.addPerson({
        id: person.id,
        is_bot: false,
        first_name: person.firstName,
        ...(person.username === undefined ? {} : { username: person.username }),
        ...(person.languageCode === undefined ? {} : { language_code: person.languageCode }),
      })
      const chat = world.chats.get(person.id)
      if (chat === undefined) throw new Error(`No chat for person ${person.id}`)
      return new User(world, entry, chat)
    },
    group({ id, title, members }) {
      const chat = world.addGroup(
        id,
        title,
        members.map((member) => member.id),
      )
      return { chatId: chat.info.id }
    },
    faults,
    async stop() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

function splitAddress(listen: string): { host: string; port: number } {
  const at = listen.lastIndexOf(':')
  const host = listen.slice(0, at).replace(/^\[|\]$/g, '')
  const port = Number(listen.slice(at + 1))
  if (at < 1 || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`Not an address: ${JSON.stringify(listen)}; it is host:port`)
  }
  return { host, port }
}
