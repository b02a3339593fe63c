import type { ContractRouterClient } from '@orpc/contract'
import { getEventMeta, mapEventIterator, withEventMeta } from '@orpc/client'
import { createRouterClient } from '@orpc/server'
import {
  type CallContext,
  isStream,
  operationMeta,
  type OperationName,
  callNames,
  type Contract,
  type ServerConnector,
} from '#src/contract/index.ts'
import type { FleetError } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { randomId, type Runtime, systemRuntime } from '#src/runtime.ts'
import { createLocalBackups } from './backups-local.ts'
import { describeCauses, toCallError } from './errors.ts'
import { withDeadline } from './deadline.ts'
import { createRouter } from './router.ts'
import { openStream } from './streams.ts'
import { throughJson } from './through-json.ts'
import { withBackups } from './with-backups.ts'

/**
 * The node of this process as a server like any other: the same checks, deadlines and errors as over the network, and
 * inputs and answers pass through JSON, so that neither side ever holds an object of the other.
 * @throws every call: FleetError
 */
export function createLocalConnector(
  operations: NodeOperations,
  options: { log?: Log; runtime?: Pick<Runtime, 'alarm' | 'randomBytes'> } = {},
): ServerConnector {
  const runtime = options.runtime ?? systemRuntime()

  function toError(error: unknown, operation: string): FleetError {
    const trace = randomId(runtime, 64)
    const coded = toCallError(error, trace)
    if (coded.code === 'INTERNAL') {
      options.log?.error({ trace, operation, cause: describeCauses(error) }, 'a local call failed')
    }
    return coded
  }

  const calls = createRouterClient(createRouter(operations), {
    context: (context: CallContext) => context,
    interceptors: [
      async (call) => {
        const name = call.path.join('.') as OperationName
        const { timeout } = operationMeta(name)
        try {
          const input = throughJson(call.input) ?? {}
          if (isStream(name)) {
            return await openStream({
              timeout,
              signal: call.signal,
              runtime,
              open: async (signal) => copied((await call.next({ ...call, input, signal })) as Stream),
              toError: (error) => toError(error, name),
            })
          }
          return throughJson(
            await withDeadline({ timeout, signal: call.signal, runtime }, () =>
              call.next({ ...call, input }),
            ),
          )
        } catch (error) {
          if (call.signal?.aborted === true && error === call.signal.reason) throw error
          throw toError(error, name)
        }
      },
    ],
  })
  const backups = createLocalBackups({ operations, runtime, words: toError })
  return withBackups(callsMade(calls), backups)
}

type Calls = ContractRouterClient<Contract, CallContext>

/** The same with every call made once: oRPC's own object makes a new one each time it is asked for it. */
function callsMade(calls: Calls): Calls {
  const groups: Record<string, Record<string, unknown>> = {}
  for (const name of callNames()) {
    const [group, operation] = name.split('.') as [keyof Calls, string]
    groups[group] = { ...groups[group], [operation]: (calls[group] as Record<string, unknown>)[operation] }
  }
  return groups as unknown as Calls
}

type Stream = AsyncIterator<object, unknown>

/** The events of a stream, none of them an object of the node; their ids stay with them. */
function copied(stream: Stream): Stream {
  const copy = (event: object): object => {
    const value = throughJson(event) as object
    const meta = getEventMeta(event)
    return meta === undefined ? value : withEventMeta(value, meta)
  }
  return mapEventIterator(stream, {
    value: async (event: unknown, done: boolean | undefined) =>
      done === true ? event : copy(event as object),
    error: async (error: unknown) => error,
  }) as Stream
}
