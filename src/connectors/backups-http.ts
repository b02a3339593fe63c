import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import {
  apiPrefix,
  type CallContext,
  type ParsedRestore,
  parseInput,
  streamed,
  type StreamedInput,
  type StreamedName,
} from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { inspectBackup } from '#src/node/backup/format.ts'
import type { StreamedOperations } from '#src/node/operations.ts'
import { readRestoreBody } from './restore-body.ts'

/** ms. A connection on which nothing moves for so long has nobody at its other end. */
const IDLE_MS = 2 * 60_000

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  context: CallContext
}

/** The operation a request is for, where it is one that carries a file. */
export function streamedAt(method: string | undefined, path: string): StreamedName | undefined {
  const names = Object.keys(streamed) as StreamedName[]
  return names.find((name) => {
    const { route } = streamed[name]
    return method === route.method && path === apiPrefix + route.path
  })
}

/** How an agent answers the operations that carry a file. @throws what they throw, for the caller to answer with */
export function createStreamedRoutes(
  operations: StreamedOperations,
  readJson: (request: IncomingMessage) => Promise<unknown>,
): Record<StreamedName, (exchange: Exchange) => Promise<void>> {
  return {
    async 'backups.create'({ request, response }) {
      const input = (await parseInput(
        'backups.create',
        await readJson(request),
      )) as StreamedInput<'backups.create'>
      const { stream } = await inspectBackup(await operations['backups.create'](input))
      response.setTimeout(IDLE_MS, () => void response.destroy())
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' })
      await pipeline(stream, response).catch((error: unknown) => {
        // They have gone: nobody to tell.
        if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
      })
    },

    async 'backups.restore'({ request, response, context }) {
      if (context.idempotencyKey === undefined) fail('IDEMPOTENCY_KEY_REQUIRED')
      const body = arriving(request)
      try {
        const { parameters, file } = await readRestoreBody(body)
        const input = (await parseInput('backups.restore', parameters)) as ParsedRestore
        const report = await operations['backups.restore'](input, context, file)
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify(report))
      } finally {
        await body.return()
      }
    },
  }
}

/** A body as it comes. Left early, the rest of it is read past: a refusal must still find its way out. */
async function* arriving(request: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
  request.setTimeout(IDLE_MS, () => void request.destroy())
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
    // What comes now is ours, and takes as long as it takes.
    request.setTimeout(0)
  } finally {
    request.resume()
  }
}
