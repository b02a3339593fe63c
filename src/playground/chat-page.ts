import type { IncomingMessage, ServerResponse } from 'node:http'
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

export interface ChatPage {
  handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>
  stop(): void
}

export function createChatPage(
  _world: World,
  _options: { actions: readonly DemoAction[]; links: readonly DemoLink[] },
): ChatPage {
  return {
    async handle(_request, response) {
      response.writeHead(404).end()
    },
    stop() {},
  }
}
