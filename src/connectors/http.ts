import type { IncomingMessage, ServerResponse } from 'node:http'
import { mapEventIterator } from '@orpc/client'
import { OpenAPIHandler } from '@orpc/openapi/node'
import { apiPrefix, type CallContext, isStream, type OperationName } from '#src/contract/index.ts'
import { FleetError, fail } from '#src/errors.ts'
import { type Faults, noFaults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { randomId, type Runtime, systemRuntime } from '#src/runtime.ts'
import { createStreamedRoutes, streamedAt } from './backups-http.ts'
import { describeCauses, toCallError, toWire } from './errors.ts'
import { createRouter } from './router.ts'

/** Five thousand clients with every field are about 2 MiB; this is room for a restored list of many more. */
const MAX_BODY_BYTES = 16 * 1024 * 1024

/** Ours are UUIDs; anything printable of moderate length is let through for other callers. */
const idempotencyKeyPattern = /^[\x21-\x7e]{1,128}$/

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void

/**
 * Serves a node's operations below /api/v1, for `http.createServer` or `https.createServer`. Who may call is decided
 * before, by the TLS connection.
 */
export function createContractHandler(
  operations: NodeOperations,
  options: { log: Log; runtime?: Pick<Runtime, 'randomBytes'>; faults?: Faults | undefined },
): RequestListener {
  const { faults = noFaults } = options
  const runtime = options.runtime ?? systemRuntime()
  /** By the context of a call: where it will be answered. */
  const responses = new WeakMap<CallContext, ServerResponse>()
  const handler = new OpenAPIHandler(createRouter(operations), {
    // Streams say by themselves that they live.
    eventIteratorKeepAliveEnabled: false,
    clientInterceptors: [
      async (call) => {
        const operation = call.path.join('.') as OperationName
        responses.get(call.context)?.once('finish', () => void faults.at('answered', operation))
        await faults.at('received', operation)
        const answer = await call.next()
        if (!isStream(operation)) return answer
        return mapEventIterator(answer as AsyncIterator<unknown>, {
          value: async (event: unknown) => event,
          error: async (error: unknown) => report(error, operation),
        })
      },
    ],
    interceptors: [
      async (call) => {
        try {
          return await call.next()
        } catch (error) {
          throw report(error, `${call.request.method} ${call.request.url.pathname}`)
        }
      },
    ],
  })

  const files = createStreamedRoutes(operations, readJson)

  /** Logged here and nowhere else: once for every failed request. */
  function report(error: unknown, request: string): ReturnType<typeof toWire> {
    const trace = randomId(runtime, 64)
    const coded = toCallError(error, trace)
    if (coded.code === 'INTERNAL') {
      options.log.error({ trace, request, cause: describeCauses(error) }, 'a request failed')
    } else {
      options.log.info({ trace, request, code: coded.code }, 'a request was refused')
    }
    return toWire(coded, trace)
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const context = callContext(request)
      const file = streamedAt(request.method, pathOf(request))
      if (file !== undefined) {
        response.once('finish', () => void faults.at('answered', file))
        await files[file]({ request, response, context })
        return
      }
      // The handler takes a body that is there already; reading it here gives limit and form coded errors.
      Object.assign(request, { body: await readJson(request) })
      responses.set(context, response)
      const { matched } = await handler.handle(request, response, { prefix: apiPrefix, context })
      if (!matched) fail('NOT_FOUND')
    } catch (error) {
      // The caller is gone: nobody to answer, and nothing of ours went wrong.
      if (request.destroyed && !request.complete) return
      const wire = report(error, `${request.method} ${pathOf(request)}`)
      if (response.headersSent || response.destroyed) {
        response.destroy()
        return
      }
      // What of the body was not read would be taken for the next request; a file is read past to its end.
      if (!request.complete && streamedAt(request.method, pathOf(request)) === undefined)
        response.setHeader('connection', 'close')
      response.writeHead(wire.status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(wire))
    }
  }

  return (request, response) => {
    void serve(request, response)
  }
}

function callContext(request: IncomingMessage): CallContext {
  const key = request.headers['idempotency-key']
  if (key === undefined) return {}
  if (typeof key !== 'string' || !idempotencyKeyPattern.test(key)) {
    fail('BAD_INPUT', { field: 'Idempotency-Key', reason: '1 to 128 printable characters' })
  }
  return { idempotencyKey: key }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) {
    fail('PAYLOAD_TOO_LARGE', { limit: MAX_BODY_BYTES })
  }
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop must not destroy the connection, which the refusal still has to pass.
  const parts = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
  for await (const chunk of parts) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) fail('PAYLOAD_TOO_LARGE', { limit: MAX_BODY_BYTES })
    chunks.push(chunk)
  }
  if (size === 0) return {}
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/json') fail('BAD_INPUT', { field: 'body', reason: 'application/json is wanted' })
  let body: unknown
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw new FleetError('BAD_INPUT', { field: 'body', reason: 'not JSON' }, { cause })
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    fail('BAD_INPUT', { field: 'body', reason: 'an object is wanted' })
  }
  return body
}

/** Without the query, which may hold what a log must not. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? ''
}
