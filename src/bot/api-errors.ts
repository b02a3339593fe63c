import { type Api, BotError, GrammyError, HttpError } from 'grammy'
import { FleetError, rootOf } from '#src/errors.ts'
import { networkWords } from '#src/trust/network-words.ts'

/** What Telegram's refusals mean to us, by the words its server uses (tdlib/telegram-bot-api). */
const NOT_MODIFIED = /message is not modified/
const MESSAGE_GONE =
  /message to (?:edit|delete|be replied) not found|message can't be (?:edited|deleted)|MESSAGE_ID_INVALID/
const THREAD_GONE = /message thread not found/
const CHAT_GONE =
  /chat not found|bot was blocked|user is deactivated|bot was kicked|bot is not a member|group chat was upgraded|have no rights to send|CHAT_WRITE_FORBIDDEN/

function refusal(error: unknown, code: number | undefined, words: RegExp): boolean {
  if (!(error instanceof GrammyError)) return false
  return (code === undefined || error.error_code === code) && words.test(error.description)
}

export const isNotModified = (error: unknown): boolean => refusal(error, 400, NOT_MODIFIED)
export const isMessageGone = (error: unknown): boolean => refusal(error, 400, MESSAGE_GONE)
export const isThreadGone = (error: unknown): boolean => refusal(error, 400, THREAD_GONE)
export const isChatGone = (error: unknown): boolean =>
  refusal(error, undefined, CHAT_GONE) || (error instanceof GrammyError && error.error_code === 403)

/** Refused for what it is, not for where it goes: too long, say, or markup that is none. It will not pass. */
export const isMalformed = (error: unknown): boolean =>
  error instanceof GrammyError && (error.error_code === 400 || error.error_code === 413)

/** How long Telegram asks us to wait, in ms; undefined for anything but a 429. */
export function retryAfterMs(error: unknown): number | undefined {
  const cause = error instanceof BotError ? error.error : error
  if (!(cause instanceof GrammyError) || cause.error_code !== 429) return undefined
  return (cause.parameters.retry_after ?? 1) * 1000
}

/** True where trying again later can help: the network, Telegram's own trouble, a rate limit. */
export function isPassing(error: unknown): boolean {
  const cause = error instanceof BotError ? error.error : error
  if (cause instanceof HttpError) return true
  return cause instanceof GrammyError && (cause.error_code === 429 || cause.error_code >= 500)
}

/**
 * What may be logged of an error. The object itself must not: a BotError holds the bot's token, a GrammyError the
 * text of a message, which may be a share link.
 */
export function safeFields(error: unknown, depth = 0): Record<string, unknown> {
  const cause = error instanceof BotError ? error.error : error
  if (cause instanceof GrammyError) {
    return { name: cause.name, method: cause.method, code: cause.error_code, description: cause.description }
  }
  if (cause instanceof HttpError) {
    return { name: cause.name, message: cause.message.replace(/\(.*$/s, ''), reason: whyNotSent(cause.error) }
  }
  if (cause instanceof FleetError) {
    const beneath =
      cause.cause === undefined || depth > 2 ? {} : { cause: safeFields(cause.cause, depth + 1) }
    return { name: cause.name, code: cause.code, details: cause.details, ...beneath }
  }
  if (!(cause instanceof Error)) return { name: 'unknown' }
  return { name: cause.name, message: withoutToken(cause.message), stack: withoutToken(cause.stack ?? '') }
}

/**
 * Why a call did not get through, by codes and names alone: the message of what lies beneath an HttpError can hold the
 * request's address, and that the token.
 */
function whyNotSent(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'unknown'
  const error = rootOf(thrown)
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'there was no answer in time'
  if (error instanceof SyntaxError) return 'what answers there is no Bot API'
  const code = 'code' in error ? String(error.code) : error.name
  return networkWords[code] ?? code
}

/** The API client's type asks for the signal of an old polyfill; it takes the platform's own. */
export function forApi(signal: AbortSignal): Parameters<Api['getMe']>[0] {
  return signal as unknown as Parameters<Api['getMe']>[0]
}

/** A Bot API token as it stands in addresses: bot<id>:<secret>. */
function withoutToken(text: string): string {
  return text.replace(/\d{5,}:[\w-]{20,}/g, '[token]')
}
