import type { Method } from './methods.ts'
import { isRecord, scalar } from './params.ts'
import { Refusal, badRequest } from './refusal.ts'
import { QUERY_LIFETIME_MS } from './world.ts'

/** Bot API limits. */
const ANSWER_LENGTH = 200
const INLINE_RESULTS = 50
const RESULT_ID_BYTES = 64
/** Bots can download files up to this size (Bot API, getFile). */
const DOWNLOAD_BYTES = 20 * 1024 * 1024

/** answerCallbackQuery, answerInlineQuery, getFile. */
export const queryMethods: Record<string, Method> = {
  answerCallbackQuery(params, { world }) {
    const tap = world.taps.get(params.text('callback_query_id') ?? '')
    const text = params.text('text') ?? ''
    if (text.length > ANSWER_LENGTH) throw badRequest('MESSAGE_TOO_LONG')
    if (tap === undefined || tap.answer !== undefined || world.runtime.now() - tap.at > QUERY_LIFETIME_MS) {
      throw tooOld()
    }
    const url = params.text('url')
    // Only games and links to the bot itself may be opened by an answer.
    if (url !== undefined && !url.startsWith(`https://t.me/${world.bot.username}?start=`)) {
      throw badRequest('URL_INVALID')
    }
    world.answer(tap, { text, alert: params.flag('show_alert'), ...(url === undefined ? {} : { url }) })
    return true
  },
  answerInlineQuery(params, { world }) {
    const queryId = params.text('inline_query_id') ?? ''
    const query = world.inlineQueries.get(queryId)
    const results: unknown = params.json('results') ?? []
    if (!Array.isArray(results)) throw badRequest("can't parse inline query results: expected an Array")
    if (results.length > INLINE_RESULTS) throw badRequest('RESULTS_TOO_MUCH')
    const ids = results.map((result: unknown) => (isRecord(result) ? scalar(result['id']) : ''))
    if (ids.some((id) => id === '' || Buffer.byteLength(id) > RESULT_ID_BYTES))
      throw badRequest('RESULT_ID_INVALID')
    if (new Set(ids).size !== ids.length) throw badRequest('RESULT_ID_DUPLICATE')
    if (
      query === undefined ||
      query.results !== undefined ||
      world.runtime.now() - query.at > QUERY_LIFETIME_MS
    ) {
      throw tooOld()
    }
    query.results = results
    world.emit({ kind: 'inline', queryId, results })
    return true
  },
  getFile(params, { world }) {
    const file = world.files.get(params.text('file_id') ?? '')
    if (file === undefined) throw badRequest('invalid file_id')
    if (file.bytes.length > DOWNLOAD_BYTES) throw badRequest('file is too big')
    return {
      file_id: file.fileId,
      file_unique_id: file.uniqueId,
      file_size: file.bytes.length,
      file_path: file.path,
    }
  },
}

function tooOld(): Refusal {
  return badRequest('query is too old and response timeout expired or query ID is invalid')
}
