import {
  type OperationInput,
  type OperationName,
  type ServerConnector,
  callOperation,
  operationMeta,
} from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'

/** ms on top of the operation's own timeout, so that the connector's, which knows more, comes first. */
const TIMEOUT_MARGIN = 5_000

/**
 * Sends one task to its server, under its own id as the key. Resolves once the server has carried it out.
 * @throws what the server answered, SERVER_TIMEOUT, or the reason of `stopped`
 */
export async function sendTask(sent: {
  task: { id: string; operation: string }
  /** null in the journal stands for no input at all. */
  input: unknown
  connector: ServerConnector
  stopped: AbortSignal
}): Promise<void> {
  const { task, connector, stopped } = sent
  const operation = task.operation as OperationName
  const limit = operationMeta(operation).timeout + TIMEOUT_MARGIN
  const late = AbortSignal.timeout(limit)
  const signal = AbortSignal.any([stopped, late])
  const input = (sent.input ?? undefined) as OperationInput<OperationName>
  try {
    await orAborted(
      callOperation(connector, operation, input, { signal, context: { idempotencyKey: task.id } }),
      signal,
    )
  } catch (thrown) {
    if (late.aborted) throw new FleetError('SERVER_TIMEOUT', { seconds: Math.round(limit / 1000) })
    throw thrown
  }
}

/** A connector may be slow to notice its signal: nothing here waits longer for it than for the answer. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    // Before all else: what the work ends with is then never left without a listener.
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    if (signal.aborted) onAbort()
  })
}
