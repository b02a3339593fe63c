import { createORPCClient } from '@orpc/client'
import { type ContractRouterClient, ORPCError, ValidationError } from '@orpc/contract'
import { ResponseValidationPlugin } from '@orpc/contract/plugins'
import { StandardOpenAPILink } from '@orpc/openapi-client/standard'
import type { Dispatcher } from 'undici'
import {
  apiPrefix,
  type CallContext,
  type Contract,
  contract,
  describeIssue,
  isStream,
  operationMeta,
  type OperationName,
  parseCall,
  type ServerConnector,
} from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { createRemoteBackups } from './backups-remote.ts'
import { fromWire } from './errors.ts'
import { withDeadline } from './deadline.ts'
import { eventsOf } from './event-source.ts'
import { openStream } from './streams.ts'
import { toTransportError } from './unreachable.ts'
import { withBackups } from './with-backups.ts'

export interface RemoteOptions {
  /** https://host:port: where requests are addressed. How they get there is the dispatcher's matter. */
  endpoint: string
  /**
   * The one way to the server: it opens connections, and vouches that this server and no other is at their far end.
   * Dialling directly is one (see transport.ts); connections the server has opened can be another.
   */
  dispatcher: Dispatcher
  /** The same for streams, each of which has a connection for as long as it goes on. */
  streams: Dispatcher
  /** And for what is larger than an answer and must not hold answers up. */
  files: Dispatcher
  runtime: Pick<Runtime, 'alarm' | 'sleep'>
}

/**
 * A server over HTTP, as a connector like any other. Nothing is tried again here: whoever journals a change also
 * decides when to repeat it, under its key.
 * @throws every call: FleetError, those of the operation as well as SERVER_UNREACHABLE, SERVER_TIMEOUT,
 *   SERVER_IDENTITY_REFUSED, SERVER_ANSWER_UNREADABLE, SERVER_REFUSED; or the reason of the caller's own signal
 */
export function createRemoteConnector(options: RemoteOptions): ServerConnector {
  const { endpoint, dispatcher, streams, runtime } = options
  const send: ConstructorParameters<typeof StandardOpenAPILink<CallContext>>[1] = {
    async call(request, _, path) {
      const response = await (isStream(path.join('.') as OperationName) ? streams : dispatcher)
        .request({
          origin: request.url.origin,
          path: request.url.pathname + request.url.search,
          method: request.method as Dispatcher.HttpMethod,
          headers: {
            ...request.headers,
            ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          body: request.body === undefined ? null : JSON.stringify(request.body),
          signal: request.signal ?? null,
        })
        .catch((error: unknown) => {
          throw toTransportError(error, endpoint)
        })
      return {
        status: response.statusCode,
        headers: response.headers,
        async body() {
          if (isEventStream(response)) return eventsOf(response.body)
          const text = await response.body.text().catch((error: unknown) => {
            throw toTransportError(error, endpoint)
          })
          return text === '' ? undefined : (JSON.parse(text) as unknown)
        },
      }
    },
  }

  const link = new StandardOpenAPILink<CallContext>(contract, send, {
    url: `${endpoint}${apiPrefix}`,
    headers: ({ context }) =>
      context.idempotencyKey === undefined ? {} : { 'idempotency-key': context.idempotencyKey },
    plugins: [new ResponseValidationPlugin(contract)],
    interceptors: [
      async (call) => {
        const name = call.path.join('.') as OperationName
        const { timeout } = operationMeta(name)
        const start = async (signal: AbortSignal): Promise<unknown> => {
          const input = call.input ?? {}
          // Before it is sent: parts of it become the path, where a wrong one would name another operation.
          await parseCall(name, input, call.context)
          return call.next({ ...call, input, signal })
        }
        const limits = { timeout, signal: call.signal, runtime }
        try {
          if (!isStream(name)) return await withDeadline(limits, start)
          return await openStream({
            ...limits,
            open: async (signal) => (await start(signal)) as AsyncIterator<unknown, unknown>,
            toError: (error) => toRemoteError(error, endpoint),
          })
        } catch (error) {
          if (call.signal?.aborted === true && error === call.signal.reason) throw error
          throw toRemoteError(error, endpoint)
        }
      },
    ],
  })
  const calls = createORPCClient<ContractRouterClient<Contract, CallContext>>(link)
  return withBackups(calls, createRemoteBackups({ endpoint, dispatcher: options.files, runtime }))
}

function isEventStream({ headers }: Dispatcher.ResponseData): boolean {
  return String(headers['content-type']).startsWith('text/event-stream')
}

function toRemoteError(error: unknown, endpoint: string): FleetError {
  const known = fleetErrorWithin(error)
  if (known !== undefined) return known
  const invalid = error instanceof ORPCError ? error.cause : error
  if (invalid instanceof ValidationError) {
    const { field, reason } = describeIssue(invalid.issues[0])
    return new FleetError('SERVER_ANSWER_UNREADABLE', { reason: `${field}: ${reason}` })
  }
  if (error instanceof ORPCError) return fromWire(error as ORPCError<string, unknown>)
  // The codec's own complaint about an answer: no JSON.
  if (error instanceof Error && error.cause instanceof SyntaxError) {
    return new FleetError('SERVER_ANSWER_UNREADABLE', { reason: 'it is not JSON' }, { cause: error })
  }
  return toTransportError(error, endpoint)
}

/** The codec wraps what reading the body threw. */
function fleetErrorWithin(error: unknown): FleetError | undefined {
  if (error instanceof FleetError) return error
  return error instanceof Error && error.cause instanceof FleetError ? error.cause : undefined
}
