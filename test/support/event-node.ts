import { type NodeEvent, operationNames, type ServerConnector } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import { createEvents, type Events, placeOf } from '#src/node/events/events.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { type Runtime, systemRuntime } from '#src/runtime.ts'

export type EventStream = Awaited<ReturnType<ServerConnector['sync']['events']>>

/** A node that does nothing but tell: what is said is the test's, every other operation answers with an empty list. */
export interface EventNode {
  events: Events
  operations: NodeOperations
  /** How a stream is opened from now on. */
  opens: NodeOperations['sync.events']
  /** An event that carries a word. */
  say(word: string): void
  close(): void
}

export function createEventNode(
  options: { run?: string; beatEveryMs?: number; kept?: number; runtime?: Runtime } = {},
): EventNode {
  const { run = 'run-1', beatEveryMs, kept, runtime = systemRuntime() } = options
  const position = { epoch: run, changeSeq: 0, trafficSeq: 0 }
  const xray = () => ({ running: true, lastError: null })
  const events = createEvents({ runtime, position: () => position, xray, beatEveryMs, kept })
  events.begin(run)
  const operations = Object.fromEntries(
    operationNames().map((name) => [name, () => Promise.resolve([])]),
  ) as unknown as NodeOperations
  operations['sync.events'] = (...call) => node.opens(...call)
  const node: EventNode = {
    events,
    operations,
    opens: async (asked, _, { signal, lastEventId }) => events.read(placeOf(asked, lastEventId), signal),
    say: (email) => events.publish({ type: 'restored', email }),
    close: () => events.close(),
  }
  return node
}

export async function nextEvent(stream: EventStream): Promise<NodeEvent> {
  const { done, value } = await stream.next()
  if (done === true) throw new Error('the stream has ended')
  return value
}

/** Reads until an event of this type has come. */
export async function nextOf<T extends NodeEvent['type']>(
  stream: EventStream,
  type: T,
): Promise<Extract<NodeEvent, { type: T }>> {
  for (;;) {
    const event = await nextEvent(stream)
    if (event.type === type) return event as Extract<NodeEvent, { type: T }>
  }
}

/** The next `count` events that are no beat: the words that were said, else what they are. */
export async function told(stream: EventStream, count: number): Promise<string[]> {
  const seen: string[] = []
  while (seen.length < count) {
    const event = await nextEvent(stream)
    if (event.type !== 'beat') seen.push(event.type === 'restored' ? event.email : event.type)
  }
  return seen
}

/** How a call fails, which it must, with a code. */
export async function errorOf(promise: Promise<unknown>): Promise<FleetError> {
  const error: unknown = await promise.then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof FleetError)) throw error
  return error
}
