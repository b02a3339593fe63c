import { createRouterClient } from '@orpc/server'
import {
  type CallContext,
  operationMeta,
  type OperationName,
  operationNames,
  type ServerConnector,
} from '#src/contract/index.ts'
import type { Log } from '#src/log.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { randomId, type Runtime, systemRuntime } from '#src/runtime.ts'
import { describeCauses, toCallError } from './errors.ts'
import { withDeadline } from './deadline.ts'
import { createRouter } from './router.ts'
import { throughJson } from './through-json.ts'

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
  const connector: ServerConnector = createRouterClient(createRouter(operations), {
    context: (context: CallContext) => context,
    interceptors: [
      async (call) => {
        const name = call.path.join('.') as OperationName
        const { timeout } = operationMeta(name)
        try {
          const input = throughJson(call.input) ?? {}
          return throughJson(
            await withDeadline({ timeout, signal: call.signal, runtime }, () =>
              call.next({ ...call, input }),
            ),
          )
        } catch (error) {
          if (call.signal?.aborted === true && error === call.signal.reason) throw error
          const trace = randomId(runtime, 64)
          const coded = toCallError(error, trace)
          if (coded.code === 'INTERNAL') {
            options.log?.error(
              { trace, operation: name, cause: describeCauses(error) },
              'a local call failed',
            )
          }
          throw coded
        }
      },
    ],
  })
  return withCallsMade(connector)
}

/** The same with every call made once: oRPC's own object makes a new one each time it is asked for it. */
function withCallsMade(connector: ServerConnector): ServerConnector {
  const groups: Record<string, Record<string, unknown>> = {}
  for (const name of operationNames()) {
    const [group, operation] = name.split('.') as [keyof ServerConnector, string]
    groups[group] = {
      ...groups[group],
      [operation]: (connector[group] as Record<string, unknown>)[operation],
    }
  }
  return groups as unknown as ServerConnector
}
