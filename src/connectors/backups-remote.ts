import { Readable } from 'node:stream'
import { ORPCError } from '@orpc/client'
import type { Dispatcher } from 'undici'
import {
  apiPrefix,
  type BackupCalls,
  restoreReport,
  streamed,
  type StreamedName,
} from '#src/contract/index.ts'
import { FleetError, fail } from '#src/errors.ts'
import { inspectBackup, limited } from '#src/node/backup/format.ts'
import { fromWire } from './errors.ts'
import { restoreBody } from './restore-body.ts'
import { relayed, type StreamedCall, streamedCall, watched } from './streamed-call.ts'
import { toTransportError } from './unreachable.ts'

/** Of answers that are no file. */
const MAX_ANSWER_BYTES = 1024 * 1024

/** Backups of a server over HTTP. */
export function createRemoteBackups(options: {
  endpoint: string
  /** Not that of other calls: a file may be larger than any answer, and must not hold them up. */
  dispatcher: Dispatcher
  runtime: StreamedCall<'backups.create'>['runtime']
}): BackupCalls {
  const { endpoint, dispatcher, runtime } = options
  const lost = (error: unknown): FleetError => toTransportError(error, endpoint)

  async function send(
    name: StreamedName,
    request: { headers: Record<string, string>; body: string | Readable; signal: AbortSignal },
  ): Promise<Dispatcher.ResponseData['body']> {
    const { path, method } = streamed[name].route
    const response = await dispatcher.request({
      origin: endpoint,
      path: apiPrefix + path,
      method,
      ...request,
    })
    if (response.statusCode === 200) return response.body
    throw refusal(response.statusCode, await answerIn(response.body))
  }

  return {
    async create(input, { signal } = {}) {
      const name = 'backups.create'
      try {
        return await streamedCall({ name, input, signal, runtime }, async (parsed, gone) => {
          const headers = { 'content-type': 'application/json' }
          const body = await send(name, { headers, body: JSON.stringify(parsed), signal: gone })
          const file = await inspectBackup(body)
          return { ...file, stream: relayed(file.stream, { failed: lost }) }
        })
      } catch (error) {
        throw signal?.aborted === true && error === signal.reason ? error : lost(error)
      }
    },

    async restore(input, file, { signal, context } = {}) {
      const name = 'backups.restore'
      let failure: (() => unknown) | undefined
      try {
        return await streamedCall({ name, input, context, signal, runtime }, async (parsed, gone) => {
          const sent = watched(file, gone)
          failure = () => sent.failure()
          const headers = {
            'content-type': 'application/octet-stream',
            'idempotency-key': context?.idempotencyKey ?? '',
          }
          const body = Readable.from(restoreBody(parsed, sent.stream), { objectMode: false })
          const answer = await answerIn(await send(name, { headers, body, signal: gone }))
          const report = restoreReport.safeParse(answer)
          if (!report.success) fail('SERVER_ANSWER_UNREADABLE', { reason: 'it is no report' })
          return report.data
        })
      } catch (error) {
        if (signal?.aborted === true && error === signal.reason) throw error
        // The connection was given up because the file broke off, not the other way round.
        throw failure?.() ?? lost(error)
      }
    },
  }
}

async function answerIn(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  const parts: Uint8Array[] = []
  for await (const part of limited(body, MAX_ANSWER_BYTES)) parts.push(part)
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch (cause) {
    return fail('SERVER_ANSWER_UNREADABLE', { reason: 'it is not JSON' }, { cause })
  }
}

function refusal(status: number, answer: unknown): FleetError {
  const { code, message, data } = Object(answer) as { code?: unknown; message?: unknown; data?: unknown }
  if (status < 400) return new FleetError('SERVER_ANSWER_UNREADABLE', { reason: `status ${status}` })
  return fromWire(new ORPCError(String(code), { status, message: String(message), data }))
}
