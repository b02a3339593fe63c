import type { Readable } from 'node:stream'
import { ErrorEvent, withEventMeta } from '@orpc/client'
import { AsyncIteratorClass } from '@orpc/contract'
import { EventDecoder } from '@orpc/standard-server'
import { FleetError, fail } from '#src/errors.ts'

type Message = Parameters<
  NonNullable<NonNullable<ConstructorParameters<typeof EventDecoder>[0]>['onEvent']>
>[0]

/** Far more than the largest event there is; bounds what a broken or hostile server can make us hold. */
const MAX_EVENT_BYTES = 1024 * 1024

/**
 * The events in the body of an answer, as they arrive; each keeps its id. Ends with the body, and ends the body when
 * its reader leaves.
 * @throws what reading the body throws; ErrorEvent with what the server says; FleetError SERVER_ANSWER_UNREADABLE
 */
export function eventsOf(body: Readable): AsyncIteratorClass<unknown, unknown, void> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>
  const text = new TextDecoder()
  const arrived: Message[] = []
  let unfinished = 0
  const decoder = new EventDecoder({
    onEvent(message) {
      unfinished = 0
      arrived.push(message)
    },
  })
  // It is told by reading; an error that comes after the reader has left is nobody's.
  body.on('error', () => undefined)

  return new AsyncIteratorClass<unknown, unknown, void>(
    async () => {
      for (;;) {
        const message = arrived.shift()
        const result = message === undefined ? undefined : resultOf(message)
        if (result !== undefined) return result
        if (message !== undefined) continue
        const { done, value } = await chunks.next()
        if (done === true) return { done: true, value: undefined }
        unfinished += value.length
        decoder.feed(text.decode(value, { stream: true }))
        if (unfinished > MAX_EVENT_BYTES) {
          fail('SERVER_ANSWER_UNREADABLE', { reason: `an event is larger than ${MAX_EVENT_BYTES} bytes` })
        }
      }
    },
    async () => {
      body.destroy()
    },
  )
}

/** undefined: a comment, which only shows that the connection lives. @throws ErrorEvent */
function resultOf(message: Message): IteratorResult<unknown, unknown> | undefined {
  switch (message.event ?? (message.data === undefined ? 'comment' : 'message')) {
    case 'message': {
      const value = parse(message.data)
      const isObject = typeof value === 'object' && value !== null
      return { done: false, value: isObject ? withEventMeta(value, message) : value }
    }
    case 'error':
      throw new ErrorEvent({ data: parse(message.data) })
    case 'done':
      return { done: true, value: parse(message.data) }
    default:
      return undefined
  }
}

function parse(data: string | undefined): unknown {
  if (data === undefined || data === '') return undefined
  try {
    return JSON.parse(data)
  } catch (cause) {
    throw new FleetError('SERVER_ANSWER_UNREADABLE', { reason: 'an event is not JSON' }, { cause })
  }
}
