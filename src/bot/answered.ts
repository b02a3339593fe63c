import type { Context } from 'grammy'
import type { Runtime } from '#src/runtime.ts'
import type { Toast } from './services.ts'

/** A tap is answered within a second; the rest is for the network. */
const PATIENCE_MS = 500
/** Telegram's limit for the words in an answer. */
const LONGEST = 200

/**
 * Does the work of a tap and answers it: with what the work returns, or with nothing when it takes longer than half
 * a second. An answer that comes too late, as after a restart, is not an error.
 */
export async function answered(
  ctx: Context,
  runtime: Runtime,
  work: () => Promise<Toast | undefined | void>,
): Promise<void> {
  if (ctx.callbackQuery === undefined) {
    await work()
    return
  }
  let open = true
  const answer = async (toast?: Toast): Promise<void> => {
    if (!open) return
    open = false
    const words =
      toast === undefined ? {} : { text: toast.text.slice(0, LONGEST), show_alert: toast.alert === true }
    await ctx.answerCallbackQuery(words).catch(() => undefined)
  }
  const done = new AbortController()
  const early = runtime.sleep(PATIENCE_MS, done.signal).then(
    () => answer(),
    () => undefined,
  )
  try {
    const toast = await work()
    await answer(toast ?? undefined)
  } finally {
    done.abort()
    await early
    await answer()
  }
}
