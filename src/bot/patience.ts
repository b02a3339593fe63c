/** How long is waited for Telegram: by a call, by a person, by what must be told. */
import type { Transformer } from 'grammy'
import type { Runtime } from '#src/runtime.ts'
import { forApi, isPassing, retryAfterMs } from './api-errors.ts'

/**
 * A person waits: three tries, and no more than this between them all. Longer waits are for whoever called, who need
 * not hold anything meanwhile: a handling that takes a minute is given up.
 */
const TRIES = 3
const LONGEST_WAIT_MS = 20_000

/** Waits out short rate limits of interactive calls. Alerts do not pass here: they wait in their outbox. */
export function retryTransformer(runtime: Runtime, signal: AbortSignal): Transformer {
  return async (prev, method, payload, abort) => {
    let waited = 0
    for (let tries = 1; ; tries++) {
      const answer = await prev(method, payload, abort)
      if (answer.ok || answer.error_code !== 429 || tries === TRIES) return answer
      const wait = (answer.parameters?.retry_after ?? 1) * 1000
      waited += wait
      if (waited > LONGEST_WAIT_MS) return answer
      await runtime.sleep(wait, signal)
    }
  }
}

/**
 * Telegram answers within a second or two. On a line that swallows everything a call would hang for minutes, and with
 * it the update or the alert it is for; four calls in a row still fit into the time a handling has.
 */
const CALL_DEADLINE_MS = 10_000
/** Pictures and files, on a slow uplink. */
const UPLOAD_DEADLINE_MS = 60_000

/** Ends calls nobody answers, as the network's failure they are. Polling has a deadline of its own. */
export function deadlineTransformer(runtime: Runtime): Transformer {
  return async (prev, method, payload, abort) => {
    if (method === 'getUpdates') return prev(method, payload, abort)
    const isUpload = method === 'sendPhoto' || method === 'sendDocument'
    const late = new AbortController()
    const done = new AbortController()
    runtime.sleep(isUpload ? UPLOAD_DEADLINE_MS : CALL_DEADLINE_MS, done.signal).then(
      () => late.abort(new Error('no answer in time')),
      () => undefined,
    )
    // The client's type is that of an old polyfill; what it is given is the platform's own.
    const caller = abort as unknown as AbortSignal | undefined
    const signal = caller === undefined ? late.signal : AbortSignal.any([caller, late.signal])
    try {
      return await prev(method, payload, forApi(signal))
    } finally {
      done.abort()
    }
  }
}

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000

/**
 * Repeats what is to be told until it is: while Telegram is away, or asks for patience, only the telling waits.
 * @throws what does not pass, and the reason of `signal`
 */
export async function persisting<R>(
  { runtime, signal }: { runtime: Runtime; signal: AbortSignal },
  work: () => Promise<R>,
): Promise<R> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await work()
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error
      await runtime.sleep(Math.max(pause, retryAfterMs(error) ?? 0), signal)
    }
  }
}
