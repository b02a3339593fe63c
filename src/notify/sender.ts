import { and, asc, eq } from 'drizzle-orm'
import type { Runtime } from '#src/runtime.ts'
import { type Faults, noFaults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import { type Db, tables } from '#src/store/drizzle.ts'
import type { Message } from './messages.ts'
import { collapse, isOpen, type OutboxRow } from './outbox.ts'

const { outbox } = tables

/** A message on its way: what to say, to which chat. */
export type Outgoing = Message & { chat: string; silent: boolean }

/** What became of an attempt. An attempt that throws may pass later and is repeated. */
export type Delivery =
  | { ok: true; messageId: number }
  /** The chat must be left alone for so long (ms). */
  | { ok: false; retryAfterMs: number }
  /** It can never be delivered: the bot was blocked, the chat does not exist, or Telegram refuses what it is. */
  | { ok: false; gone: string }

export interface Sender {
  /** Sends what waits, also what was on its way when the process ended. */
  start(): void
  /** Something was put into the outbox. Cheap; may be called for nothing. */
  wake(): void
  /** Lets what is on its way arrive for a few seconds, then ends it; it is sent again after the next start. */
  stop(): Promise<void>
}

export interface SenderOptions {
  db: Db
  runtime: Runtime
  log: Pick<Log, 'warn' | 'error'>
  /** Makes the words and sends them. Must end soon after the signal. */
  deliver: (message: Outgoing, signal: AbortSignal) => Promise<Delivery>
  faults?: Faults | undefined
}

/** Quick at first, since most troubles last a moment; then rare, but never given up: an alert must arrive. */
const BACK_OFF_MS = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000] as const
const LAST_BACK_OFF_MS = 60_000

/** Longer than Telegram usually takes, short enough for a shutdown. */
const STOP_PATIENCE_MS = 3_000

/** After an error of our own, most likely a database that is busy for long. */
const OWN_ERROR_PAUSE_MS = 1_000

/** Empties the outbox: in order within a chat, chats beside one another. */
export function createSender(options: SenderOptions): Sender {
  const { db, runtime, log, deliver, faults = noFaults } = options
  /** One runner per chat that has something to send. */
  const runners = new Map<string, Promise<void>>()
  const stopping = new AbortController()
  const cut = new AbortController()
  let started = false

  const wake = (): void => {
    if (!started || stopping.signal.aborted) return
    const chats = db.selectDistinct({ chat: outbox.chat }).from(outbox).where(isOpen).all()
    for (const { chat } of chats) {
      if (runners.has(chat)) continue
      // It removes itself in the same turn in which it finds the queue empty, so no wake-up falls in between.
      runners.set(chat, run(chat))
    }
  }

  const run = async (chat: string): Promise<void> => {
    // A turn later, so that the map knows this runner before it can end.
    await Promise.resolve()
    while (!stopping.signal.aborted) {
      try {
        const row = head(chat)
        if (row === undefined) break
        const wait = row.nextAttemptAt - runtime.now()
        if (wait > 0) {
          // Slept out even if this one is taken back meanwhile: patience is owed to the chat. Then look who is first.
          await runtime.sleep(wait, stopping.signal)
          continue
        }
        await attempt(row)
      } catch (error) {
        if (stopping.signal.aborted) break
        log.error({ chat, reason: messageOf(error) }, 'the outbox stumbled, it goes on')
        await runtime.sleep(OWN_ERROR_PAUSE_MS, stopping.signal).catch(() => undefined)
      }
    }
    runners.delete(chat)
  }

  const head = (chat: string): OutboxRow | undefined =>
    db
      .select()
      .from(outbox)
      .where(and(isOpen, eq(outbox.chat, chat)))
      .orderBy(asc(outbox.id))
      .limit(1)
      .get()

  const attempt = async (row: OutboxRow): Promise<void> => {
    const attempts = row.attempts + 1
    set(row.id, { status: 'sending', attempts })
    let delivery: Delivery
    try {
      delivery = await deliver(outgoing(row), cut.signal)
    } catch (error) {
      // The text of what was thrown only: a Telegram client's error carries the bot's token and the message.
      const reason = messageOf(error)
      const at = runtime.now() + (BACK_OFF_MS[attempts - 1] ?? LAST_BACK_OFF_MS)
      log.warn({ outbox: row.id, chat: row.chat, attempts, reason }, 'a message was not delivered yet')
      return later(row, at, reason)
    }
    if ('retryAfterMs' in delivery) {
      return later(row, runtime.now() + delivery.retryAfterMs, 'asked to wait')
    }
    if (delivery.ok) {
      await faults.at('outbox sent')
      const sentAt = runtime.now()
      set(row.id, { status: 'sent', messageId: delivery.messageId, sentAt, lastError: null })
      return
    }
    log.error(
      { outbox: row.id, chat: row.chat, kind: row.kind, reason: delivery.gone },
      'a message is given up',
    )
    set(row.id, { status: 'dead', lastError: delivery.gone })
  }

  const later = (row: OutboxRow, nextAttemptAt: number, lastError: string): void => {
    db.transaction((tx) => {
      tx.update(outbox).set({ status: 'queued', nextAttemptAt, lastError }).where(eq(outbox.id, row.id)).run()
      // The recovery may have come while this was on its way.
      collapse(tx, row.chat, row.key)
    })
  }

  const set = (id: number, values: Partial<OutboxRow>): void => {
    db.update(outbox).set(values).where(eq(outbox.id, id)).run()
  }

  return {
    wake,
    start: () => {
      started = true
      const onTheirWay = db
        .select()
        .from(outbox)
        .where(and(isOpen, eq(outbox.status, 'sending')))
        .all()
      // Whether they arrived cannot be known. Twice is better than never.
      for (const row of onTheirWay) later(row, runtime.now(), 'interrupted')
      wake()
    },
    stop: async () => {
      stopping.abort(new Error('stopped'))
      const done = Promise.all(runners.values())
      const patience = new AbortController()
      const timer = runtime.sleep(STOP_PATIENCE_MS, patience.signal).then(
        () => cut.abort(new Error('stopped')),
        () => undefined,
      )
      await done
      patience.abort()
      await timer
    },
  }
}

/** Rows are written by enqueue alone, which pairs kind and payload. */
function outgoing(row: OutboxRow): Outgoing {
  const { kind, payload, chat, silent } = row
  return { kind, payload, chat, silent } as Outgoing
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
