/** Telegram's answer when it does not do what was asked: `code` is both the HTTP status and `error_code`. */
export class Refusal extends Error {
  readonly code: number
  readonly retryAfterSeconds: number | undefined

  constructor(code: number, description: string, retryAfterSeconds?: number) {
    super(description)
    this.name = 'Refusal'
    this.code = code
    this.retryAfterSeconds = retryAfterSeconds
  }

  /** The body Telegram sends: `parameters` is there only when it says how long to wait. */
  toBody(): { ok: false; error_code: number; description: string; parameters?: { retry_after: number } } {
    return {
      ok: false,
      error_code: this.code,
      description: this.message,
      ...(this.retryAfterSeconds === undefined
        ? {}
        : { parameters: { retry_after: this.retryAfterSeconds } }),
    }
  }
}

/** A 400 in Telegram's wording: `Bad Request: <text>`. */
export function badRequest(text: string): Refusal {
  return new Refusal(400, `Bad Request: ${text}`)
}

/** A 403 in Telegram's wording: `Forbidden: <text>`. */
export function forbidden(text: string): Refusal {
  return new Refusal(403, `Forbidden: ${text}`)
}

/** A 429 that asks the bot to wait `retryAfterSeconds`. */
export function tooManyRequests(retryAfterSeconds: number): Refusal {
  return new Refusal(429, `Too Many Requests: retry after ${retryAfterSeconds}`, retryAfterSeconds)
}
