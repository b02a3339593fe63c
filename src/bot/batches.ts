import { InputFile } from 'grammy'
import QRCode from 'qrcode'
import type { TaskView } from '#src/fleet/types.ts'
import { batchModel } from './batch-model.ts'
import { encodeTap } from './callback-data.ts'
import { type Html, html } from './html.ts'
import { batchScreen } from './screens/batch.ts'
import type { LinkRef } from './screens/qr.ts'
import type { Services } from './services.ts'
import { safeFields } from './api-errors.ts'
import { persisting } from './patience.ts'
import type { StageContext } from './types.ts'

/** Edits of a progress message come at most this often: Telegram allows about one message a second and chat. */
const BETWEEN_EDITS_MS = 800

const OPEN = new Set(['pending', 'running'])

export function batchAddress(id: string): string {
  return encodeTap('batch', { batch: id })
}

/** A link as a picture. Error correction L: a screen does not get dirty, and large modules scan from far. */
export async function qrPicture(link: string): Promise<InputFile> {
  const png = await QRCode.toBuffer(link, { errorCorrectionLevel: 'L', margin: 3, scale: 6 })
  return new InputFile(png, 'qr.png')
}

/** Under a QR picture: whose it is, and where it leads. */
export function qrCaption(name: string, { server, tag }: Pick<LinkRef, 'server' | 'tag'>): Html {
  return html`<b>${name}</b>\n${server.name} · ${tag}`
}

export interface Followers {
  /**
   * Draws a batch's progress as it happens while its screen is shown. `settled` is there for a batch started now;
   * without it, after a restart, whatever still waits is shown as waiting.
   */
  follow(ctx: StageContext, batch: string, settled?: Promise<unknown>): void
  /** Draws a batch as it is. `fresh`: it was started just now, and nothing is known to wait. */
  show(ctx: StageContext, batch: string, fresh?: boolean): Promise<void>
  /** Resolves when nothing is drawn any more. */
  idle(): Promise<void>
}

export function createFollowers(
  s: Pick<Services, 'fleet' | 'live' | 'chats' | 'runtime' | 'log' | 'signal' | 'faults'>,
): Followers {
  /** By place and batch. `isTold`: its result was drawn, and it follows only what waits for servers. */
  const running = new Map<
    string,
    { place: string; stop: AbortController; work: Promise<void>; isTold: boolean }
  >()

  const isShown = (ctx: StageContext, address: string): boolean =>
    s.chats.get(ctx.spot.key)?.screen === address

  async function run(
    ctx: StageContext,
    batch: string,
    settled: Promise<unknown> | undefined,
    { signal, onTold }: { signal: AbortSignal; onTold: () => void },
  ): Promise<void> {
    const address = batchAddress(batch)
    let isSettled = settled === undefined
    let news = Promise.withResolvers<void>()
    let tasks = s.fleet.tasks.batch(batch)
    let picture = settled !== undefined
    const drawnIn = (): number | undefined => s.chats.get(ctx.spot.key)?.screenMessageId ?? undefined
    /** The message it was drawn in last. */
    let messageId = isShown(ctx, address) ? drawnIn() : undefined
    const stopWatching = s.fleet.tasks.watch(batch, (now) => {
      tasks = now
      // Nothing is left to wait for: said at once, for who moves on leaves this as the last word.
      isSettled ||= !now.some((task) => OPEN.has(task.status))
      news.resolve()
    })
    const onAbort = (): void => news.resolve()
    signal.addEventListener('abort', onAbort)
    // Some may have ended while its first screen was drawn.
    if (settled === undefined || tasks.some((task) => !OPEN.has(task.status))) news.resolve()
    void settled?.then(() => {
      isSettled = true
      news.resolve()
    })
    /** Draws what is so now, and returns it; undefined where somebody looks at something else by now. */
    const draw = async (): Promise<{ tasks: TaskView[]; isSettled: boolean } | undefined> => {
      // While Telegram answers more may happen, which then is drawn too.
      const shown = { tasks, isSettled }
      const model = batchModel(s.fleet, batch, shown.tasks, shown.isSettled, ctx.t)
      const [only] = shown.tasks.length === 1 ? model.links : []
      if (shown.isSettled && picture) {
        // One link: its picture comes by itself, and the result stays the last message. More have a button each.
        if (only !== undefined && isShown(ctx, address)) {
          await s.live.photo(ctx, await qrPicture(only.link), qrCaption(model.name, only))
          ctx.fresh = true
        }
        picture = false
      }
      if (await s.live.refresh(ctx, batchScreen(model, ctx.t), address)) {
        messageId = drawnIn()
        return shown
      }
      // Another screen came into its place; or a new message came below it, and it stands there unfinished.
      if (messageId === undefined || messageId === drawnIn()) return undefined
      if (!shown.isSettled) return shown
      await s.live.amend(ctx, batchScreen(model, ctx.t), messageId)
      return undefined
    }
    try {
      // What a server answered to just before we ended may be missing from what is known of it.
      if (settled === undefined) {
        const done = tasks.filter(({ status }) => status === 'applied')
        await s.fleet.caughtUp(done.map(({ serverId }) => serverId))
      }
      for (;;) {
        await news.promise
        if (signal.aborted) return
        news = Promise.withResolvers()
        // Whoever asked for a change hears what became of it, also where Telegram is away just then.
        const shown = await persisting({ runtime: s.runtime, signal }, draw)
        if (shown === undefined) return
        if (shown.isSettled) onTold()
        if (shown.isSettled && !shown.tasks.some((task) => OPEN.has(task.status))) {
          await s.faults?.at('chat told', shown.tasks[0]?.operation)
          return
        }
        await s.runtime.sleep(BETWEEN_EDITS_MS, signal)
      }
    } finally {
      stopWatching()
      signal.removeEventListener('abort', onAbort)
    }
  }

  return {
    follow(ctx, batch, settled) {
      const place = ctx.spot.key
      const key = `${place} ${batch}`
      running.get(key)?.stop.abort()
      for (const other of running.values()) if (other.place === place && other.isTold) other.stop.abort()
      const stop = new AbortController()
      const signal = AbortSignal.any([stop.signal, s.signal])
      const onTold = (): void => {
        const here = running.get(key)
        if (here?.stop === stop) here.isTold = true
      }
      const work = run(ctx, batch, settled, { signal, onTold })
        .catch((error: unknown) => {
          if (!signal.aborted)
            s.log.warn({ batch, error: safeFields(error) }, 'progress is not shown any more')
        })
        .finally(() => {
          if (running.get(key)?.stop === stop) running.delete(key)
        })
      running.set(key, { place, stop, work, isTold: false })
    },
    async show(ctx, batch, fresh = false) {
      const tasks = s.fleet.tasks.batch(batch)
      // Whether a pending one waits for its server or is on its way is told by the next change.
      const settled = !fresh && !tasks.some((task) => task.status === 'running')
      await s.live.show(
        ctx,
        batchScreen(batchModel(s.fleet, batch, tasks, settled, ctx.t), ctx.t),
        batchAddress(batch),
      )
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled([...running.values()].map(({ work }) => work))
    },
  }
}
