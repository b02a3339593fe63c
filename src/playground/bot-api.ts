import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FaultPlan } from './faults.ts'
import { botMethods } from './methods-bot.ts'
import { chatMethods } from './methods-chat.ts'
import { editMethods } from './methods-edit.ts'
import { queryMethods } from './methods-query.ts'
import { sendMethods } from './methods-send.ts'
import { methodTable } from './methods.ts'
import { readParams } from './params.ts'
import { Refusal } from './refusal.ts'
import type { World } from './world.ts'

/** Bot API: uploads up to 50 MB; a little more for the rest of the form. */
const BODY_BYTES = 50 * 1024 * 1024 + 64 * 1024
const METHODS = methodTable(botMethods, sendMethods, editMethods, chatMethods, queryMethods)

/** Answers requests below `/bot<token>/` and `/file/bot<token>/`. */
export type BotApiHandler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>

/** The Bot API of one bot over HTTP. The handler never rejects. */
export function createBotApi(world: World, faults: FaultPlan, token: string): BotApiHandler {
  return async (request, response, url) => {
    faults.track(request.socket)
    if (faults.isDown) {
      request.socket.destroy()
      return
    }
    try {
      const file = /^\/file\/bot([^/]+)\/(.+)$/.exec(url.pathname)
      if (file !== null) {
        checkToken(file[1] ?? '', token)
        sendFile(world, response, decodeURIComponent(file[2] ?? ''))
        return
      }
      const call = /^\/bot([^/]+)\/([a-zA-Z]+)$/.exec(url.pathname)
      if (call === null) throw new Refusal(404, 'Not Found')
      checkToken(call[1] ?? '', token)
      const method = (call[2] ?? '').toLowerCase()
      const body = await readBody(request)
      faults.checkRate(method)
      const run = METHODS.get(method)
      if (run === undefined) throw new Refusal(404, 'Not Found: method not found')
      const gone = new AbortController()
      response.once('close', () => gone.abort())
      const params = readParams(url.searchParams, request.headers['content-type'] ?? '', body)
      const result = await run(params, { world, gone: gone.signal })
      if (faults.losesAnswer(method)) request.socket.destroy()
      else sendJson(response, 200, { ok: true, result })
    } catch (error) {
      const refusal =
        error instanceof Refusal ? error : new Refusal(500, `Internal Server Error: ${String(error)}`)
      sendJson(response, refusal.code, refusal.toBody())
    }
  }
}

function checkToken(given: string, expected: string): void {
  // Telegram tells a token that cannot be one from one that is not known.
  if (!/^\d+:[\w-]+$/.test(given)) throw new Refusal(404, 'Not Found')
  if (!timingSafeEqual(digest(given), digest(expected))) throw new Refusal(401, 'Unauthorized')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    // The rest is still read, so that the sender hears the refusal and not a broken pipe.
    if (size <= BODY_BYTES) chunks.push(chunk)
  }
  if (size > BODY_BYTES) throw new Refusal(413, 'Request Entity Too Large')
  return Buffer.concat(chunks)
}

function sendFile(world: World, response: ServerResponse, path: string): void {
  const file = world.files.atPath(path)
  if (file === undefined) throw new Refusal(404, 'Not Found')
  response.writeHead(200, { 'content-type': file.mime, 'content-length': file.bytes.length }).end(file.bytes)
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed || response.headersSent) return
  const bytes = Buffer.from(JSON.stringify(body))
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length })
    .end(bytes)
}
